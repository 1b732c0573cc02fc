// A box in the head of the list that selects all messages of the page. Without it each has its own.
"use strict";
(() => {
  for (const table of document.querySelectorAll("table.selecting")) {
    const boxes = [...table.querySelectorAll("td.choose input")];
    const head = table.querySelector("thead .choose");
    if (!boxes.length || !head) continue;

    const all = document.createElement("input");
    all.type = "checkbox";
    all.setAttribute("aria-label", "Select all messages of this page");
    head.append(all);

    const show = () => {
      const count = boxes.filter((box) => box.checked).length;
      all.checked = count === boxes.length;
      all.indeterminate = count > 0 && count < boxes.length;
    };
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
    });
    for (const box of boxes) box.addEventListener("change", show);
    show();
  }
})();
