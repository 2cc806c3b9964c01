/** The owner of secrets and tasks: an opaque id that stands for issuer and subject. */
export type OwnerId = string & { readonly __brand: 'OwnerId' };
