//! The problem codes of this function.

guest::problems! {
    "confirmation-refused" => "The name or password that should confirm the request is not the account's.",
    "email-taken" => "Another account has proved this mail address. Sign in to that account, or reset its password. To use the address for another account, delete that account first.",
    "email-verified" => "The mail address of the account is already proved, so no mail is needed.",
    "link-expired" => "The link was used, is too old, or was not copied completely. Ask for a new one.",
    "passkey-exists" => "This passkey already belongs to an account. Sign in with it.",
    "passkeys-unavailable" => "Passkeys belong to a domain name. The operator sets it with `--public-url`.",
    "provider-refused" => "The sign-in with the provider was not accepted: the provider refused it, it took longer than ten minutes, it began in another browser, or its answer was not for this server. Begin again.",
    "provider-unavailable" => "The provider can't be reached at the moment, or refuses this server. Try again later, or sign in with a password.",
    "second-factor-absent" => "The account does not have a second factor, or none is waiting to be confirmed.",
    "second-factor-exists" => "The account already has a second factor. Remove it before you add another one.",
    "second-factor-required" => "The password is right, but the account has a second factor. Send `code` too: a code of the authenticator, or a recovery code.",
    "too-many-attempts" => "Too many wrong passwords. Try again after `Retry-After` seconds, or reset the password.",
    "too-many-passkeys" => "An account can have at most 20 passkeys. Remove an unused one.",
}
