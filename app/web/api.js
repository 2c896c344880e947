// The HTTP API, as the page uses it. Every failure is a Problem with a hint.

export class Problem extends Error {
  constructor({ detail, title, hint = "", code = "", status = 503 }) {
    super(detail || title);
    this.hint = hint;
    this.code = code;
    // The same request may succeed later.
    this.passing = status >= 500;
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

const undocumented = (status) => ({ detail: `The service answered ${status}.`, status });

export const call = async (method, path, body) => {
  const request = { method };
  if (body) {
    request.body = JSON.stringify(body);
    request.headers = { "Content-Type": "application/json" };
  }
  const reply = await fetch(path, request).catch(() => {
    throw UNREACHABLE;
  });
  const document = await reply.json().catch(() => undocumented(reply.status));
  if (!reply.ok) throw problemOf(document);
  return document;
};

// fetch() does not tell how much of an upload was sent; XMLHttpRequest does.
export const upload = (file, options, onSent) =>
  new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("file", file);
    form.append("options", JSON.stringify(options));
    const request = new XMLHttpRequest();
    request.open("POST", "/jobs");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onSent(loaded / total);
    request.onerror = () => reject(UNREACHABLE);
    request.onload = () =>
      request.status < 300
        ? resolve(request.response)
        : reject(problemOf(request.response ?? undocumented(request.status)));
    request.send(form);
  });
