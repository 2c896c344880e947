// A result as a page: shares, timeline, speakers, transcript, downloads.

import { clock, element, percent } from "./dom.js";

const EMOTIONS = ["happiness", "sadness", "anger", "fear", "surprise", "disgust", "neutral"];

const strongest = (emotions) =>
  EMOTIONS.filter((name) => emotions[name] >= 0.005).sort((a, b) => emotions[b] - emotions[a]);

const described = (emotions) =>
  strongest(emotions).slice(0, 3).map((name) => `${name} ${percent(emotions[name])}`).join(", ");

const stack = (emotions, className) => {
  const bar = element("span", { className, role: "img", aria: { label: described(emotions) } });
  for (const name of EMOTIONS) {
    const part = element("span", { dataset: { emotion: name } });
    part.style.setProperty("--share", emotions[name]);
    bar.append(part);
  }
  return bar;
};

const filterButtons = (summary, transcript) => {
  const list = element("div", { className: "legend", role: "group", aria: { label: "Show only" } });
  for (const name of strongest(summary.emotions)) {
    const button = element(
      "button",
      { type: "button", dataset: { emotion: name }, aria: { pressed: "false" } },
      element("span", { className: "dot" }),
      `${name} `,
      element("b", {}, percent(summary.emotions[name])),
    );
    button.addEventListener("click", () => {
      const on = transcript.dataset.only !== name;
      transcript.dataset.only = on ? name : "";
      for (const other of list.children) {
        other.setAttribute("aria-pressed", String(on && other === button));
      }
      for (const row of transcript.children) row.hidden = on && row.dataset.emotion !== name;
    });
    list.append(button);
  }
  return list;
};

const timeline = (result, transcript) => {
  const timed = result.duration !== null;
  const bins = result.summary.timeline;
  const show = timed ? clock : (index) => `sentence ${Math.floor(index) + 1}`;
  const columns = element("div", { className: "columns" });
  for (const bin of bins) {
    const label = `${show(bin.start)}: ${described(bin.emotions) || "nothing said"}`;
    const column = element("button", { type: "button", title: label, aria: { label } });
    column.append(stack(bin.emotions, "column"));
    column.addEventListener("click", () => {
      const start = ({ dataset }) => Number(dataset.start);
      const row = [...transcript.children].find((one) => !one.hidden && start(one) >= bin.start);
      row?.querySelector("summary").focus({ preventScroll: true });
      row?.scrollIntoView({ block: "center" });
    });
    column.tabIndex = columns.children.length ? -1 : 0;
    columns.append(column);
  }
  // One stop for the tab key however many columns there are; the arrows move within.
  columns.addEventListener("keydown", ({ key, target }) => {
    if (key === "ArrowRight") target.nextElementSibling?.focus();
    if (key === "ArrowLeft") target.previousElementSibling?.focus();
  });
  const last = bins.at(-1)?.end ?? 0;
  const ends = timed ? [clock(0), clock(last)] : ["first sentence", "last sentence"];
  const axis = element("div", { className: "axis" }, ...ends.map((end) => element("span", {}, end)));
  return element("figure", {}, element("figcaption", {}, "Over time"), columns, axis);
};

const speakers = (summary) => {
  if (!summary.speakers.length) return null;
  const body = element("tbody");
  for (const one of summary.speakers) {
    body.append(
      element(
        "tr",
        {},
        element("th", { scope: "row" }, one.speaker),
        element("td", {}, clock(one.speech_seconds)),
        element("td", {}, one.dominant_emotion),
        element("td", { className: "wide" }, stack(one.emotions, "bar")),
      ),
    );
  }
  const heads = ["Speaker", "Speaks", "Mostly", "Shares"].map((head) =>
    element("th", { scope: "col" }, head),
  );
  const head = element("thead", {}, element("tr", {}, ...heads));
  return element("table", {}, element("caption", {}, "By speaker"), head, body);
};

const distribution = (segment) => {
  const list = element("dl", { className: "distribution" });
  for (const name of strongest(segment.emotions)) {
    const meter = element("span", { className: "meter", dataset: { emotion: name } });
    meter.style.setProperty("--share", segment.emotions[name]);
    list.append(
      element("dt", {}, name),
      element("dd", {}, meter, percent(segment.emotions[name])),
    );
  }
  const labels = segment.labels.map((name) => `${name} ${percent(segment.sub_emotions[name])}`);
  const more = labels.length ? `Labels: ${labels.join(", ")}.` : "No label above its threshold.";
  return [list, element("p", { className: "hint" }, more)];
};

const sound = ({ prosody }) => {
  if (!prosody) return null;
  const { loudness, pitch_median: pitch, pitch_range: range, speaking_rate: rate } = prosody;
  const parts = [
    loudness === null ? null : `${loudness.toFixed(0)} dBFS`,
    pitch === null ? null : `pitch ${pitch.toFixed(0)} Hz`,
    range === null ? null : `range ${range.toFixed(1)} semitones`,
    rate === null ? null : `${rate.toFixed(1)} words a second`,
    `${prosody.pause_seconds.toFixed(1)} s of pauses`,
  ];
  return element("p", { className: "hint" }, `${parts.filter(Boolean).join(" · ")}.`);
};

const emotionOf = ({ emotion, sub_emotion: sub }) => (emotion === sub ? emotion : `${emotion} · ${sub}`);

const sentence = (segment) => {
  const { start, emotion, intensity, low_confidence: unsure } = segment;
  const time = start === null ? null : element("time", {}, clock(start));
  const chip = element(
    "span",
    { className: "chip" },
    element("span", { className: "dot" }),
    `${emotionOf(segment)} · ${intensity}`,
    element("span", { className: "sure" }, unsure ? `unsure, ${percent(segment.confidence)}` : percent(segment.confidence)),
  );
  const speaker = segment.speaker && element("span", { className: "speaker" }, segment.speaker);
  const text = element("span", { className: "text" }, segment.text);
  const original = segment.original_text && element("span", { className: "original" }, segment.original_text);
  const meta = element("span", { className: "meta" }, time, speaker, chip);
  const line = element("summary", {}, meta, text, original);
  const row = element("details", { dataset: { emotion, intensity, unsure, start: start ?? segment.index } }, line);
  // Thousands of sentences would make thousands of charts that nobody looks at.
  const details = () => [...distribution(segment), sound(segment)].filter(Boolean);
  row.addEventListener("toggle", () => row.append(...details()), { once: true });
  return row;
};

const downloads = (jobId, result, save) => {
  const link = (href, name, label) => {
    const made = element("a", { href, download: name }, label);
    made.addEventListener("click", (event) => {
      event.preventDefault();
      save(href, name);
    });
    return made;
  };
  const formats = result.duration === null ? ["json", "csv"] : ["json", "csv", "srt", "vtt"];
  const links = formats.map((format) =>
    link(`/jobs/${jobId}/result?format=${format}`, `${jobId}.${format}`, format.toUpperCase()),
  );
  if (result.redacted_audio) links.push(link(`/jobs/${jobId}/audio`, `${jobId}.wav`, "Redacted audio"));
  return element("p", { className: "downloads" }, "Download ", ...links);
};

const facts = (result) => {
  const { summary, language, duration, models } = result;
  const sentences = `${summary.segments} ${summary.segments === 1 ? "sentence" : "sentences"}`;
  const parts = [sentences, language, duration === null ? null : clock(duration)];
  const title = Object.entries(models).map(([role, name]) => `${role}: ${name}`).join("\n");
  return element("p", { className: "hint", title }, parts.filter(Boolean).join(" · "));
};

// `save` is called with the address and the file name of what is to be downloaded.
export const render = (jobId, result, save) => {
  const { summary, segments, notes } = result;
  const page = [facts(result), ...notes.map((note) => element("p", { className: "note" }, note))];
  if (segments.length) {
    const transcript = element("div", { className: "transcript" }, ...segments.map(sentence));
    page.push(
      element("p", { className: "verdict" }, "Mostly ", element("b", {}, summary.dominant_emotion)),
      stack(summary.emotions, "bar large"),
      filterButtons(summary, transcript),
      timeline(result, transcript),
      speakers(summary),
      element("h3", {}, "Transcript"),
      transcript,
    );
  }
  return [...page.filter(Boolean), downloads(jobId, result, save)];
};
