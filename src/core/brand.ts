declare const brand: unique symbol;

/** A value with rules of its own. Only `parse…` and `make…` functions in core create one. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };
