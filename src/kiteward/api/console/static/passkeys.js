// Asks the browser for a passkey, and sends what it returns in the form. All texts come from the page.
"use strict";

const decoded = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const encoded = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");

const described = (credentials) => (credentials ?? []).map((each) => ({ ...each, id: decoded(each.id) }));

async function made(options) {
  const publicKey = {
    ...options,
    challenge: decoded(options.challenge),
    user: { ...options.user, id: decoded(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const credential = await navigator.credentials.create({ publicKey });
  const { clientDataJSON, attestationObject } = credential.response;
  return [credential, { clientDataJSON: encoded(clientDataJSON), attestationObject: encoded(attestationObject) }];
}

async function used(options) {
  const publicKey = {
    ...options,
    challenge: decoded(options.challenge),
    allowCredentials: described(options.allowCredentials),
  };
  const credential = await navigator.credentials.get({ publicKey });
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
  return [
    credential,
    {
      clientDataJSON: encoded(clientDataJSON),
      authenticatorData: encoded(authenticatorData),
      signature: encoded(signature),
      userHandle: userHandle ? encoded(userHandle) : null,
    },
  ];
}

for (const button of document.querySelectorAll("button[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  const form = button.form;
  button.hidden = false;
  // Enter asks for the passkey where that is the first way on. A field with an error keeps the focus.
  if ("first" in button.dataset && !form.querySelector("[aria-invalid=true]")) button.focus();
  for (const note of document.querySelectorAll("[data-without-script]")) note.hidden = true;
  button.addEventListener("click", async () => {
    const failure = document.getElementById(button.dataset.failure);
    failure.hidden = true;
    // What a passkey takes the place of needs no value.
    for (const field of form.querySelectorAll("[data-instead]")) field.required = false;
    if (!form.reportValidity()) return;
    try {
      const options = JSON.parse(button.dataset.options);
      const [credential, response] = await (button.dataset.passkey === "new" ? made(options) : used(options));
      form.elements.passkey.value = JSON.stringify({
        id: credential.id,
        rawId: encoded(credential.rawId),
        type: credential.type,
        response,
        clientExtensionResults: {},
      });
      form.requestSubmit();
    } catch {
      failure.hidden = false;
    }
  });
}
