// Compares pictures of mails, row by row, so that what only moved down counts as the same.
// Takes a PNG as base64 that shows mails side by side, and for each pair of them [width, left before, height before,
// left after, height after]; a height of 0 is a side without a mail. For each pair returns the mail after, the rows
// that only the mail before has, one below the other with 8 rows around each, both as WebP (null for none), and the
// bands that differ:
// [top before, bottom before, top after, bottom after, left, right].
async ([png, pairs, quality]) => {
  const GAP = 10; // rows between two changes that are shown as one
  const MARGIN = 8;
  const MAX_BANDS = 40;
  const TOLERANCE = 3; // of 255: the same edge is painted a little differently at another place

  const cropped = (image, left, width, height) => {
    if (!height) return null;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    context.drawImage(image, left, 0, width, height, 0, 0, width, height);
    const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    return { canvas, pixels, width, height };
  };

  const shown = async canvas => {
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/webp", quality })).arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return { uri: `data:image/webp;base64,${btoa(text)}`, width: canvas.width, height: canvas.height };
  };

  // Each strip has MARGIN rows of its surroundings above and below: WebP blurs colours over a few rows.
  const strips = (picture, bands) => {
    const found = bands.filter(band => band[1] > band[0]);
    if (!found.length) return null;
    const height = found.reduce((sum, band) => sum + band[1] - band[0] + 2 * MARGIN, 0);
    const canvas = new OffscreenCanvas(picture.width, height);
    const context = canvas.getContext("2d", { alpha: false });
    let top = 0;
    for (const [from, to] of found) {
      const [first, last] = [Math.max(0, from - MARGIN), Math.min(picture.height, to + MARGIN)];
      const at = top + MARGIN - (from - first);
      context.drawImage(picture.canvas, 0, first, picture.width, last - first, 0, at, picture.width, last - first);
      top += to - from + 2 * MARGIN;
    }
    return canvas;
  };

  // A number for each row; 53 bits, so that different rows practically never have the same.
  const rowsOf = ({ pixels, width, height }) => {
    const rows = new Float64Array(height);
    for (let y = 0, at = 0; y < height; y++) {
      let one = 0x811c9dc5, two = 0x9e3779b9;
      for (let x = 0; x < width; x++, at++) {
        one = Math.imul(one ^ pixels[at], 0x01000193);
        two = Math.imul(two ^ pixels[at], 0x85ebca6b) ^ (two >>> 13);
      }
      rows[y] = (one >>> 0) * 2097152 + (two >>> 11);
    }
    return rows;
  };

  // Rows that each side has once, in the longest order that both share.
  const anchors = (a, b, a0, a1, b0, b1) => {
    const places = new Map();
    for (let y = a0; y < a1; y++) places.set(a[y], places.has(a[y]) ? null : { a: y, b: -1 });
    for (let y = b0; y < b1; y++) {
      const place = places.get(b[y]);
      if (place) place.b = place.b === -1 ? y : -2;
    }
    const once = [...places.values()].filter(place => place && place.b >= 0).sort((one, two) => one.a - two.a);
    const piles = [], below = [];
    once.forEach((place, index) => {
      let low = 0, high = piles.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (once[piles[middle]].b < place.b) low = middle + 1; else high = middle;
      }
      below[index] = low ? piles[low - 1] : -1;
      piles[low] = index;
    });
    const chosen = [];
    for (let index = piles.length ? piles[piles.length - 1] : -1; index >= 0; index = below[index]) chosen.push(once[index]);
    return chosen.reverse();
  };

  const changedBands = (a, b) => {
    const bands = [], waiting = [[0, a.length, 0, b.length]];
    while (waiting.length) {
      let [a0, a1, b0, b1] = waiting.pop();
      while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) { a0++; b0++; }
      while (a0 < a1 && b0 < b1 && a[a1 - 1] === b[b1 - 1]) { a1--; b1--; }
      if (a0 === a1 && b0 === b1) continue;
      const found = a0 < a1 && b0 < b1 ? anchors(a, b, a0, a1, b0, b1) : [];
      if (!found.length) { bands.push([a0, a1, b0, b1]); continue; }
      let [ya, yb] = [a0, b0];
      for (const place of found) {
        waiting.push([ya, place.a, yb, place.b]);
        [ya, yb] = [place.a + 1, place.b + 1];
      }
      waiting.push([ya, a1, yb, b1]);
    }
    return bands.sort((one, two) => one[0] - two[0] || one[2] - two[2]);
  };

  const differ = (p, q) => p !== q && [0, 8, 16].some(bits => Math.abs((p >> bits & 255) - (q >> bits & 255)) > TOLERANCE);

  // A band without the rows at its ends that only seem to differ; null if none of them does.
  const narrowed = (one, two, [a0, a1, b0, b1]) => {
    if (a1 - a0 !== b1 - b0) return [a0, a1, b0, b1];
    const { width } = one;
    const isSame = (ya, yb) => {
      for (let x = 0, p = ya * width, q = yb * width; x < width; x++) if (differ(one.pixels[p + x], two.pixels[q + x])) return false;
      return true;
    };
    while (a0 < a1 && isSame(a0, b0)) { a0++; b0++; }
    while (a0 < a1 && isSame(a1 - 1, b1 - 1)) { a1--; b1--; }
    return a0 < a1 ? [a0, a1, b0, b1] : null;
  };

  const merged = bands => {
    const merged = [];
    for (const band of bands) {
      const last = merged[merged.length - 1];
      if (last && (band[0] - last[1] <= GAP || merged.length >= MAX_BANDS)) [last[1], last[3]] = [band[1], band[3]];
      else merged.push(band);
    }
    return merged;
  };

  // Left and right end of what differs; the whole width where rows were added or taken away.
  const sides = (one, two, [a0, a1, b0, b1]) => {
    const { width } = one;
    if (a1 - a0 !== b1 - b0) return [0, width];
    let left = width, right = 0;
    for (let y = 0; y < a1 - a0; y++) {
      const [p, q] = [(a0 + y) * width, (b0 + y) * width];
      for (let x = 0; x < left; x++) if (differ(one.pixels[p + x], two.pixels[q + x])) left = x;
      for (let x = width - 1; x >= right; x--) if (differ(one.pixels[p + x], two.pixels[q + x])) right = x + 1;
    }
    return [left, right];
  };

  const compared = async (image, [width, leftBefore, heightBefore, leftAfter, heightAfter]) => {
    const before = cropped(image, leftBefore, width, heightBefore);
    const after = cropped(image, leftAfter, width, heightAfter);
    const bands = before && after
      ? merged(changedBands(rowsOf(before), rowsOf(after)).map(band => narrowed(before, after, band)).filter(Boolean))
          .map(band => [...band, ...sides(before, after, band)])
      : before ? [[0, heightBefore, 0, 0, 0, width]] : [];
    const old = before && strips(before, bands);
    return { after: after && await shown(after.canvas), old: old && await shown(old), bands };
  };

  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const bitmap = await createImageBitmap(image);
  const found = [];
  for (const pair of pairs) found.push(await compared(bitmap, pair));
  bitmap.close();
  return found;
}
