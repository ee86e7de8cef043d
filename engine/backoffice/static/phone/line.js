// The line: Media Streams messages over a websocket to the back office, which plays the carrier. A socket that breaks
// is opened again: the call goes on meanwhile, for as long as the back office waits (`phone_line.py`).

const STUCK_BYTES = 64000; // 5 s of them: sound that late is of no use to anybody, and the way is broken, whatever it says
const AWAY_MS = 10_000;
const OPENING_MS = 4000;
const PAUSES_MS = [100, 400, 1000, 2000]; // the last again and again
const DONE = 1000;
const NONSENSE = 1003;
const NO_SUCH_CALL = 4404;

const NONE = { readyState: WebSocket.CLOSED, bufferedAmount: 0, close() {} };

const toBytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const toText = (bytes) => btoa(String.fromCharCode(...bytes));
export const address = (path, { protocol, host } = location) => `${protocol === "https:" ? "wss" : "ws"}://${host}${path}`;

export function openLine(path, { sound, onTold, onOver }) {
  let socket = NONE;
  let up = false; // a stream, that is; between two of them nobody listens
  let over = false;
  let began = false;
  let lostAt = 0;
  let tries = 0;
  const send = (event, body) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ event, ...body }));
  open();

  function open() {
    if (over) return;
    const mine = new WebSocket(address(path));
    socket = mine;
    mine.addEventListener("open", () => {
      began = true;
      if (lostAt) onTold({ event: "back" });
      lostAt = tries = 0;
    });
    window.setTimeout(() => mine.readyState === WebSocket.CONNECTING && mine.close(), OPENING_MS);
    mine.addEventListener("message", ({ data }) => mine === socket && take(JSON.parse(data)));
    mine.addEventListener("close", ({ code }) => mine === socket && closed(code));
  }

  function take(told) {
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
  }

  function closed(code) {
    if (over) return;
    if (code === NO_SUCH_CALL) return end(began ? "The connection was away too long: the call is over. Call again." : "The call was not picked up in time. Call again.");
    if (code === DONE) return end("The call is over.");
    if (code === NONSENSE) return end("The back office did not understand this page: load it anew, then call again.");
    if (!began) return end("The line to the back office could not be opened. If it is running, call again.");
    if (!lostAt) {
      lostAt = performance.now();
      onTold({ event: "lost" });
    } else if (performance.now() - lostAt > AWAY_MS) return end("The connection to the back office broke, and did not come back. Call again.");
    window.setTimeout(open, PAUSES_MS[Math.min(tries++, PAUSES_MS.length - 1)]);
    return undefined;
  }

  function end(why, problems = []) {
    if (over) return;
    over = true;
    socket.close();
    onOver(why, problems);
  }

  // A network that went away takes the bytes and says nothing: such a socket is given up, it may take minutes to notice.
  function frame(bytes) {
    if (!up || socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount < STUCK_BYTES) send("media", { media: { payload: toText(bytes) } });
    else {
      const stuck = socket;
      socket = NONE;
      stuck.close();
      closed(0);
    }
  }

  return {
    frame,
    mark: (name) => up && send("mark", { mark: { name } }),
    press: (digit) => send("dtmf", { dtmf: { digit } }),
    said: () => send("said", {}),
    hangUp: () => {
      const heard = send("stop", {});
      window.setTimeout(() => end("You hung up."), heard === false ? 0 : 3000); // whatever the other side does about it
    },
  };
}
