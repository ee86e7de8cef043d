// Asking the back office. Every request says that it comes from our own page; a foreign one cannot.

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function ask(method, path, body) {
  const told = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  let answer;
  try {
    answer = await fetch(path, { method, ...told, headers: { ...told.headers, "x-frontdesk-page": "ops" }, credentials: "same-origin" });
  } catch {
    throw new Refusal(0, "The back office does not answer. It may be restarting; the calls themselves go on.");
  }
  const raw = await answer.text();
  let said = null;
  try {
    said = raw ? JSON.parse(raw) : null;
  } catch {
    if (answer.ok) throw new Refusal(answer.status, "The answer could not be read.");
  }
  if (answer.ok) return said;
  if (answer.status === 401 && path !== "/ops/login") window.dispatchEvent(new Event("frontdesk:logged-out"));
  const why = said && (said.detail || said.title);
  const where = said && said.mistakes && said.mistakes.map((one) => one.says).join("; ");
  throw new Refusal(answer.status, [why, where].filter(Boolean).join(": ") || `${answer.status} ${answer.statusText}`);
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);

export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
}
