// What every page has: keys, times in the reader's zone, search as you type, forms that are sent once.
import { keys } from "./keys.js";
import { palette } from "./palette.js";
import { forms } from "./forms.js";
import { times } from "./times.js";
import { copying } from "./copy.js";
import { unread } from "./unread.js";
import { rail } from "./rail.js";
import { offline } from "./offline.js";
import { sent } from "./sent.js";

sent();
for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
keys();
palette();
forms();
times();
copying();
unread();
rail();
offline();
