// The line: Media Streams messages over one websocket to the back office, which plays the carrier.

const STUCK_BYTES = 64000; // 5 s of them: sound that late is of no use to anybody

const toBytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...bytes));

export function openLine(path, { sound, onTold, onOver }) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
  let up = false; // a stream, that is; between two of them nobody listens
  let over = false;
  const send = (event, body) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ event, ...body }));

  socket.addEventListener("message", ({ data }) => {
    const told = JSON.parse(data);
    if (told.event === "media") sound.play(toBytes(told.media.payload));
    else if (told.event === "mark") sound.mark(told.mark.name);
    else if (told.event === "clear") sound.clear();
    else {
      if (told.event === "start") up = true;
      if (told.event === "stopped") up = false;
      if (told.event === "stopped" || told.event === "ended") sound.clear();
      if (told.event === "ended") end(told.why, told.problems);
      else onTold(told);
    }
  });
  socket.addEventListener("close", (event) => end(event.code === 4404
    ? "The call was not picked up in time. Call again."
    : "The line to the back office broke. If it is running, call again."));

  function end(why, problems = []) {
    if (over) return;
    over = true;
    socket.close();
    onOver(why, problems);
  }

  return {
    frame: (bytes) => up && socket.bufferedAmount < STUCK_BYTES && send("media", { media: { payload: toText(bytes) } }),
    mark: (name) => up && send("mark", { mark: { name } }),
    press: (digit) => send("dtmf", { dtmf: { digit } }),
    said: () => send("said", {}),
    hangUp: () => {
      send("stop", {});
      window.setTimeout(() => end("You hung up."), 3000); // whatever the other side does about it
    },
  };
}
