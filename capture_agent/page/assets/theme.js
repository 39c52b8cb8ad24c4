// Before anything is drawn: the colours that were chosen here, if any.
"use strict";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* no storage: as the system has it */ }
