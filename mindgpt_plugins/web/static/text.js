// Spells out control characters, marks and overrides of the writing direction and halves of pairs, as web/markup.py does.
const visible = (part) => typeof part !== "string" ? part : part.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu, (c) => {
  const code = c.charCodeAt(0);
  return code === 13 ? "\\r" : code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
});
