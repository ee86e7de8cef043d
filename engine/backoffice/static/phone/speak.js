// What the carrier itself would say, in the browser's own voice; where it has none, in silence for as long.

const CHARS_PER_S = 15;

export function speak(words, language) {
  return new Promise((done) => {
    const silently = () => window.setTimeout(done, Math.max(500, (1000 * words.length) / CHARS_PER_S));
    const voice = window.speechSynthesis;
    if (!voice || !voice.getVoices().length) return silently();
    const said = new SpeechSynthesisUtterance(words);
    said.lang = language;
    said.onend = done;
    said.onerror = silently;
    voice.speak(said);
    return undefined;
  });
}
