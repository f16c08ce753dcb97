/** A Pix participant's identity: its ISPB, eight digits whose leading zeros carry meaning. */

declare const ispb: unique symbol;

/** `ISPB` of the DICT API: eight digits, always text. */
export type Participant = string & { readonly [ispb]: true };

const form = /^[0-9]{8}$/;

/** Whether a text is an ISPB: exactly eight digits. */
export function isParticipant(text: string): text is Participant {
  return form.test(text);
}

/** The same text as an ISPB, or an error that says what would be right. */
export function participant(text: string): Participant {
  if (!isParticipant(text)) {
    throw new TypeError(`participant: "${text}" is not an ISPB (eight digits, such as 00038166)`);
  }
  return text;
}
