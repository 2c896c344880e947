// The page: submit a job, follow it, show its result; list the recent ones.

import { Problem, call, download, keepToken, upload } from "./api.js";
import { ago, byId, element } from "./dom.js";
import { render } from "./result.js";

const ENDED = ["completed", "failed", "cancelled"];
const STAGES = {
  queued: "Waiting for a worker",
  fetch: "Fetching the recording",
  transcribe: "Listening",
  segment: "Finding the sentences",
  classify: "Reading the emotions",
  aggregate: "Summing up",
};
const EXAMPLE =
  "I can't believe it, we won the first prize! Thank you all so much. " +
  "But my old dog died yesterday, and I miss him terribly. " +
  "And who on earth left the kitchen in this disgusting state?";
const POLL = { first: 250, longest: 2000, slowing: 1.2 };

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const showError = (problem) => {
  const box = byId("error");
  box.hidden = !problem;
  byId("sign-in").hidden = !problem?.needsToken;
  if (!problem) return box.replaceChildren();
  if (!(problem instanceof Problem)) console.error(problem);
  return box.replaceChildren(
    element("strong", {}, problem.message),
    " ",
    problem.hint ?? "Reload the page and try again.",
  );
};

const showProgress = (value, stage, detail = "") => {
  byId("running").hidden = false;
  const bar = byId("progress");
  // Without a value the bar moves to and fro: it is not known how long the wait is.
  if (value === null) bar.removeAttribute("value");
  else bar.value = value;
  if (byId("stage").textContent !== stage) byId("stage").textContent = stage;
  byId("detail").textContent = detail;
};

const openSection = (title) => {
  byId("job").hidden = false;
  byId("job-title").textContent = title;
  byId("result").replaceChildren();
};

const showEnd = ({ error }) => {
  const { message, hint } = error ?? { message: "The job was cancelled.", hint: "" };
  byId("result").replaceChildren(
    element("p", { className: error ? "error" : "note" }, element("strong", {}, message), " ", hint),
  );
};

const currentId = () => location.hash.slice(1);

// Whatever is shown of a job has the turn; an answer that comes when it is over is dropped.
let turn = 0;
const takeTurn = () => {
  turn += 1;
  const mine = turn;
  return () => mine === turn;
};

// A service that restarts is waited for. Returns undefined once the turn is over.
const patiently = async (path, current) => {
  for (let failed = false; current(); ) {
    try {
      const answer = await call("GET", path);
      if (!current()) return undefined;
      if (failed) showError(null);
      return answer;
    } catch (problem) {
      if (!current()) return undefined;
      if (!problem.passing) throw problem;
      failed = true;
      showError(problem);
      await pause(POLL.longest);
    }
  }
  return undefined;
};

const save = (address, name) => download(address, name).catch(showError);

const follow = async (jobId, current) => {
  const path = `/jobs/${jobId}`;
  let job = await patiently(path, current);
  if (!job) return;
  openSection(job.title ?? "Recording");
  for (let wait = POLL.first; !ENDED.includes(job.status); wait *= POLL.slowing) {
    const queued = job.status === "queued";
    const stage = STAGES[queued ? "queued" : job.stage] ?? job.stage ?? "Starting";
    showProgress(queued ? null : job.progress, stage, job.detail);
    await pause(Math.min(wait, POLL.longest));
    job = await patiently(path, current);
    if (!job) return;
  }
  byId("running").hidden = true;
  if (job.status === "completed") {
    const result = await patiently(job.links.result, current);
    if (!result) return;
    byId("result").replaceChildren(...render(job.id, result, save));
  } else {
    showEnd(job);
  }
  showRecent().catch(showError);
};

const open = async () => {
  const current = takeTurn();
  showError(null);
  const jobId = currentId();
  if (!/^[0-9a-f-]{36}$/.test(jobId)) {
    byId("job").hidden = true;
    return;
  }
  try {
    await follow(jobId, current);
  } catch (problem) {
    if (!current()) return;
    byId("job").hidden = true;
    showError(problem);
  }
};

const recentItem = (job) =>
  element(
    "li",
    {},
    element(
      "a",
      { href: `#${job.id}` },
      element("span", { className: "title" }, job.title ?? "Recording"),
      element("span", { className: "hint" }, ago(new Date(job.created_at))),
      element("span", { className: `status ${job.status}` }, job.status),
    ),
  );

const showRecent = async (address = "/jobs?limit=8") => {
  const page = await call("GET", address);
  const list = byId("recent");
  if (address === "/jobs?limit=8") list.replaceChildren();
  list.append(...page.jobs.map(recentItem));
  byId("no-jobs").hidden = list.children.length > 0;
  byId("more").hidden = !page.links.next;
  byId("more").onclick = () => showRecent(page.links.next).catch(showError);
};

const chosenOptions = () => {
  const options = { features: byId("features").checked };
  for (const name of ["confidence_threshold", "timeline_bins", "speakers"]) {
    if (byId(name).value !== "") options[name] = Number(byId(name).value);
  }
  for (const name of ["diarize", "translate", "prosody", "redact_pii"]) {
    if (byId(name).checked) options[name] = true;
  }
  return options;
};

const submitted = async (current) => {
  const options = chosenOptions();
  const [file] = byId("file").files;
  if (file) {
    openSection(file.name);
    return upload(file, options, (share) => current() && showProgress(share, "Uploading"));
  }
  const source = byId("source").value.trim();
  const isLink = /^https?:\/\/\S+$/i.test(source);
  return call("POST", "/jobs", { [isLink ? "url" : "text"]: source, options });
};

const onSubmit = async (event) => {
  event.preventDefault();
  const current = takeTurn();
  showError(null);
  byId("job").hidden = true;
  const button = event.target.querySelector("[type=submit]");
  button.disabled = true;
  byId("cancel").hidden = true;
  try {
    const job = await submitted(current);
    if (current()) {
      openSection(job.title ?? "Recording");
      byId("job-title").focus();
      location.hash = job.id;
    }
    await showRecent();
  } catch (problem) {
    showError(problem);
    if (!current()) return;
    byId("job").hidden = true;
    // Else a click on the job that was shown before would change nothing.
    history.replaceState(null, "", location.pathname);
  } finally {
    button.disabled = false;
    byId("cancel").hidden = false;
  }
};

const onToken = (event) => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  byId("token").value = "";
  showError(null);
  showRecent().catch(showError);
  open();
};

const showFile = () => {
  const [file] = byId("file").files;
  byId("file-label").textContent = file ? file.name : "Choose a recording, or drop it here";
  byId("no-file").hidden = !file;
  byId("source").disabled = Boolean(file);
};

const acceptDrops = (form) => {
  const mark = (on) => form.classList.toggle("dropping", on);
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  form.addEventListener("dragleave", () => mark(false));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    if (!event.dataTransfer.files.length) return;
    byId("file").files = event.dataTransfer.files;
    showFile();
  });
};

byId("submit").addEventListener("submit", onSubmit);
byId("sign-in").addEventListener("submit", onToken);
acceptDrops(byId("submit"));
byId("file").addEventListener("change", showFile);
byId("no-file").addEventListener("click", () => {
  byId("file").value = "";
  showFile();
});
byId("example").addEventListener("click", () => {
  byId("source").value = EXAMPLE;
  byId("source").focus();
});
byId("cancel").addEventListener("click", () => {
  call("DELETE", `/jobs/${currentId()}`).catch(showError);
});
addEventListener("hashchange", open);
showRecent().catch(showError);
open();
