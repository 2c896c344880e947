// The HTTP API, as the page uses it. Every failure is a Problem with a hint.

export class Problem extends Error {
  constructor({ detail, title, hint = "", code = "", status = 503 }) {
    super(detail || title);
    this.hint = hint;
    this.code = code;
    // The same request may succeed later.
    this.passing = status >= 500;
    this.needsToken = status === 401 || code === "auth.forbidden";
  }
}

const UNREACHABLE = new Problem({
  detail: "The service does not answer.",
  hint: "Check that it is running, then try again.",
});

// The fields say more than the general words about them.
const problemOf = (document) => {
  const fields = (document.errors ?? []).map(({ field, message }) => (field ? `${field}: ${message}` : message));
  return new Problem(fields.length ? { ...document, detail: fields.join(" "), hint: "" } : document);
};

// Kept until the tab is closed, and sent to this service alone.
const TOKEN = "token";
export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);
const authorization = () => {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
};

const undocumented = (status) => ({ detail: `The service answered ${status}.`, status });

const ask = async (path, request) => {
  const headers = { ...request.headers, ...authorization() };
  const reply = await fetch(path, { ...request, headers }).catch(() => {
    throw UNREACHABLE;
  });
  if (!reply.ok) throw problemOf(await reply.json().catch(() => undocumented(reply.status)));
  return reply;
};

export const call = async (method, path, body) => {
  const json = { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const reply = await ask(path, { method, ...(body ? json : {}) });
  return reply.json().catch(() => {
    throw problemOf(undocumented(reply.status));
  });
};

// A link sends no token, so what it leads to is fetched and handed over as a file.
export const download = async (path, name) => {
  const reply = await ask(path, { method: "GET" });
  const file = URL.createObjectURL(await reply.blob());
  Object.assign(document.createElement("a"), { href: file, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(file), 60_000);
};

// fetch() does not tell how much of an upload was sent; XMLHttpRequest does.
export const upload = (file, options, onSent) =>
  new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("file", file);
    form.append("options", JSON.stringify(options));
    const request = new XMLHttpRequest();
    request.open("POST", "/jobs");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onSent(loaded / total);
    request.onerror = () => reject(UNREACHABLE);
    request.onload = () =>
      request.status < 300
        ? resolve(request.response)
        : reject(problemOf(request.response ?? undocumented(request.status)));
    request.send(form);
  });
