// The page: submit a job, follow it, show its result; list the recent ones.

import { Problem, call, upload } from "./api.js";
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

const ended = async (job) => {
  byId("running").hidden = true;
  if (job.status === "completed") {
    const result = await call("GET", job.links.result);
    byId("result").replaceChildren(...render(job.id, result));
    return;
  }
  const { message, hint } = job.error ?? { message: "The job was cancelled.", hint: "" };
  byId("result").replaceChildren(
    element("p", { className: job.error ? "error" : "note" }, element("strong", {}, message), " ", hint),
  );
};

const currentId = () => location.hash.slice(1);

const follow = async (jobId) => {
  let wait = POLL.first;
  let job = await call("GET", `/jobs/${encodeURIComponent(jobId)}`);
  openSection(job.title ?? "Recording");
  while (currentId() === jobId && !ENDED.includes(job.status)) {
    const queued = job.status === "queued";
    const stage = STAGES[queued ? "queued" : job.stage] ?? job.stage ?? "Starting";
    showProgress(queued ? null : job.progress, stage, job.detail);
    await pause(wait);
    wait = Math.min(wait * POLL.slowing, POLL.longest);
    job = await call("GET", job.links.self);
  }
  if (currentId() !== jobId) return;
  await ended(job);
  await showRecent();
};

const open = async () => {
  showError(null);
  const jobId = currentId();
  if (!/^[0-9a-f-]{36}$/.test(jobId)) {
    byId("job").hidden = true;
    return;
  }
  try {
    await follow(jobId);
  } catch (problem) {
    byId("running").hidden = true;
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
  for (const name of ["confidence_threshold", "timeline_bins"]) {
    if (byId(name).value !== "") options[name] = Number(byId(name).value);
  }
  return options;
};

const submitted = async () => {
  const options = chosenOptions();
  const [file] = byId("file").files;
  if (file) {
    openSection(file.name);
    return upload(file, options, (share) => showProgress(share, "Uploading"));
  }
  const source = byId("source").value.trim();
  const isLink = /^https?:\/\/\S+$/i.test(source);
  return call("POST", "/jobs", { [isLink ? "url" : "text"]: source, options });
};

const onSubmit = async (event) => {
  event.preventDefault();
  showError(null);
  const button = event.target.querySelector("[type=submit]");
  button.disabled = true;
  byId("cancel").hidden = true;
  try {
    const job = await submitted();
    location.hash = job.id;
    byId("job-title").focus();
    await showRecent();
  } catch (problem) {
    byId("running").hidden = true;
    byId("job").hidden = true;
    showError(problem);
  } finally {
    button.disabled = false;
    byId("cancel").hidden = false;
  }
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
