// A zip without compression, for a corpus of two files.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** Numbers of two or four bytes, the lowest first: [[bytes, number], ...]. */
function packed(fields) {
  const made = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(made.buffer);
  let at = 0;
  for (const [size, number] of fields) {
    if (size === 2) view.setUint16(at, number, true);
    else view.setUint32(at, number, true);
    at += size;
  }
  return made;
}

/** The bytes of a zip: [[name, text], ...]. */
export function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [name, text] of files) {
    const [title, data] = [new TextEncoder().encode(name), new TextEncoder().encode(text)];
    // Names are UTF-8 (bit 11); the date is the first that a zip can have.
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, crc32(data)]];
    const sizes = [[4, data.length], [4, data.length], [2, title.length], [2, 0]];
    const local = packed([[4, 0x04034b50], ...common, ...sizes]);
    const rest = [[2, 0], [2, 0], [2, 0], [4, 0], [4, offset]];
    directory.push(packed([[4, 0x02014b50], [2, 20], ...common, ...sizes, ...rest]), title);
    parts.push(local, title, data);
    offset += local.length + title.length + data.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const number = files.length;
  const counts = [[2, number], [2, number], [4, length], [4, offset]];
  const end = [[4, 0x06054b50], [2, 0], [2, 0], ...counts, [2, 0]];
  return new Blob([...parts, ...directory, packed(end)], { type: "application/zip" });
}
