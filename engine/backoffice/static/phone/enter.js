// A link that logs in once. What stands behind the # is sent by no browser by itself, and kept in no history.

const [to, token] = location.hash.slice(1).split(/\.(.*)/s);
history.replaceState(null, "", "/phone/enter");

async function enter() {
  if (token) {
    // Where it was used before, whoever has its session still gets in, and others are asked for the token.
    await fetch("/phone/login", {
      method: "POST",
      headers: { "content-type": "application/json", "x-frontdesk-page": "phone" },
      body: JSON.stringify({ token }),
    }).catch(() => {});
  }
  location.replace(to === "ops" ? "/ops" : "/phone");
}

enter();
