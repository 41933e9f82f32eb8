// Parts of pages as nodes. The browser parses them as a document of their own, in which nothing runs, so no text is ever
// turned into HTML here.
export function fragment(path) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", path);
    request.responseType = "document";
    request.setRequestHeader("HX-Request", "true");
    const fail = (status) => reject(Object.assign(new Error(`the server answered ${status}`), { status }));
    request.onload = () => (request.status === 200 && request.response ? resolve(request.response.body) : fail(request.status));
    request.onerror = request.ontimeout = () => fail(0);
    request.timeout = 20000;
    request.send();
  });
}
