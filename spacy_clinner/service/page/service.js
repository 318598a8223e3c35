// What the page asks of its service. Addresses are relative, so that it works behind a prefix.

export class ServiceError extends Error {
  /** status: HTTP's, 0 where nothing answered. wait: seconds after which to try again, or null. */
  constructor(message, status = 0, wait = null) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

/** key: what the service may ask for; kept in memory, and gone with the page. */
export function createService() {
  let key = null;

  async function ask(path, options = {}) {
    const headers = { Accept: "application/json", ...options.headers };
    if (key) headers.Authorization = `Bearer ${inBytes(key)}`;
    let response;
    try {
      response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServiceError("The service does not answer. Is it still running?");
    }
    if (!response.ok) throw await refusal(response);
    return response.json();
  }

  return {
    setKey(given) {
      key = given;
    },
    model: () => ask("v1/model"),
    examples: () => ask("v1/examples"),
    /** What is found in a text, in every layer. */
    async annotate(text, signal) {
      const body = JSON.stringify({ notes: [{ id: "note", text }], layers: ["*"] });
      const headers = { "Content-Type": "application/json" };
      return (await ask("v1/annotate", { method: "POST", headers, body, signal })).notes[0];
    },
  };
}

/** A text in UTF-8, byte by byte: a header holds nothing else. */
function inBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** An answer that is none, in the words of the service. */
async function refusal(response) {
  const wait = Number(response.headers.get("Retry-After")) || null;
  let said = `The service answered with status ${response.status}.`;
  try {
    const { error, detail } = await response.json();
    const words = [error?.message, error, detail?.message, detail].find(
      (item) => typeof item === "string",
    );
    said = words ?? said;
  } catch {
    // No JSON: the status says enough.
  }
  return new ServiceError(said, response.status, wait);
}
