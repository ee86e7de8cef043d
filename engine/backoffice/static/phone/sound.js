// Microphone and loudspeaker of one call, and in words why there is none.

const WHY = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page (beside the address), then call again.",
  NotFoundError: "No microphone was found. Connect one, then call again.",
  NotReadableError: "The microphone cannot be used: another program seems to hold it.",
  OverconstrainedError: "The microphone cannot do what a call needs.",
};

export async function openSound({ onFrame, onMark, onLevel }) {
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    throw new Error(window.isSecureContext
      ? "This browser has no microphone for pages. A recent Firefox, Chrome, Edge or Safari has."
      : `A browser lends its microphone to https pages and to this machine's own only: open this page over https, or on the machine itself as 127.0.0.1:${location.port || 80}/phone.`);
  }
  const context = new AudioContext({ latencyHint: "interactive" });
  let stream;
  try {
    // Loudspeakers are heard by microphones: without this the agent would listen to itself.
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 } });
  } catch (error) {
    await context.close();
    throw new Error(WHY[error.name] || `The microphone cannot be used: ${error.message}`);
  }
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    context.close().catch(() => {});
  };
  try {
    await Promise.all(["mouth", "ear"].map((name) => context.audioWorklet.addModule(`/static/phone/${name}.worklet.js`)));
    await context.resume();
  } catch (error) {
    close();
    throw new Error(`The browser's audio could not be started: ${error.message}`);
  }
  const mouth = new AudioWorkletNode(context, "mouth", { numberOfOutputs: 0 });
  const ear = new AudioWorkletNode(context, "ear", { numberOfInputs: 0, outputChannelCount: [1] });
  context.createMediaStreamSource(stream).connect(mouth);
  ear.connect(context.destination);
  mouth.port.onmessage = ({ data }) => {
    onLevel("caller", data.dbfs);
    onFrame(data.frame);
  };
  ear.port.onmessage = ({ data }) => (data.mark === undefined ? onLevel("agent", data.dbfs) : onMark(data.mark));
  return {
    close,
    play: (chunk) => ear.port.postMessage({ chunk }),
    mark: (name) => ear.port.postMessage({ mark: name }),
    clear: () => ear.port.postMessage({ clear: true }),
    mute: (muted) => mouth.port.postMessage({ muted }),
    lost: (told) => stream.getAudioTracks()[0].addEventListener("ended", told),
  };
}
