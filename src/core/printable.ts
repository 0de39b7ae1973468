const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\t\n]/gu;

/**
 * The text as a terminal may show it: what is neither seen nor a tab or line break (control
 * characters, those that turn the direction of what follows) is written as `\u001b`, as JSON does.
 * Inside a string of JSON it therefore stays the same character.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    let escaped = "";
    for (let at = 0; at < character.length; at++) {
      escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
    }
    return escaped;
  });
}
