// What a person has set: where the drums stand to each other, parts of others, and controls.

export const LETTERS = "ABCD";

export function emptyRecipe() {
  return { x: 0, y: 0, amount: 0, parts: {}, changes: {}, muted: [], solo: [], seed: 1 };
}

// The weight of each corner: A and B above, C and D below.
export function cornersOf(x, y) {
  return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
}

// The weights of the drums that are there. Two drums stand at the ends of a slider.
export function weightsOf(recipe, slots) {
  const weights = [0, 0, 0, 0];
  if (slots.length === 1) weights[slots[0]] = 1;
  else if (slots.length === 2) {
    weights[slots[0]] = 1 - recipe.amount;
    weights[slots[1]] = recipe.amount;
  } else {
    const corners = cornersOf(recipe.x, recipe.y);
    const total = slots.reduce((sum, slot) => sum + corners[slot], 0);
    // In the corner of a drum that is not there, the others count alike.
    for (const slot of slots) weights[slot] = total > 0 ? corners[slot] / total : 1 / slots.length;
  }
  return weights;
}

// The parts that are not heard, by their mute and solo buttons.
export function silentParts(recipe, parts) {
  return parts.filter(
    (part) =>
      recipe.muted.includes(part) || (recipe.solo.length > 0 && !recipe.solo.includes(part)),
  );
}

// The recipe in the words of the server.
export function forServer(recipe, slots, parts) {
  const taken = Object.entries(recipe.parts).filter(
    ([part, slot]) => slots.includes(slot) && parts.includes(part),
  );
  return {
    weights: weightsOf(recipe, slots),
    parts: Object.fromEntries(taken),
    changes: recipe.changes,
    muted: silentParts(recipe, parts),
    seed: recipe.seed,
  };
}

// One line that tells a take from others.
export function summary(recipe, drums, parts) {
  const slots = Object.keys(drums).map(Number);
  const weights = weightsOf(recipe, slots);
  const heard = slots.filter((slot) => weights[slot] >= 0.005);
  const words = [
    heard
      .map((slot) =>
        heard.length > 1 ? `${LETTERS[slot]} ${Math.round(100 * weights[slot])} %` : LETTERS[slot],
      )
      .join(" "),
  ];
  for (const [part, slot] of Object.entries(recipe.parts))
    if (slots.includes(slot)) words.push(`${part} of ${LETTERS[slot]}`);
  for (const [name, value] of Object.entries(recipe.changes))
    words.push(
      typeof value === "number"
        ? `${name.replaceAll("_", " ")} ${signed(Math.round(100 * value) / 100)}`
        : name.replaceAll("_", " "),
    );
  const silent = silentParts(recipe, parts);
  if (silent.length) words.push(`no ${silent.join(", no ")}`);
  return words.join(" · ");
}

// A number with a true minus.
export function signed(value) {
  return String(value).replace("-", "\u2212");
}

export function fileName(drums, recipe) {
  const slots = Object.keys(drums).map(Number);
  const weights = weightsOf(recipe, slots);
  const names = slots
    .filter((slot) => weights[slot] >= 0.005)
    .map((slot) => drums[slot].name.replace(/\.[^.]{1,5}$/, ""));
  return names.join(" + ").slice(0, 100).replace(/[^\p{L}\p{N} ._+()-]/gu, "_") || "sound";
}
