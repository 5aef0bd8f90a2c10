// A page that is opened as a file may not read other files: the search then lists pages without excerpts.

"use strict";

if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
