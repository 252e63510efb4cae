// Which page an address names: the part after the hash, so that reloading stays where it was.

import { catalogue } from "./pages/catalogue.js";
import { customer } from "./pages/customer.js";
import { release } from "./pages/release.js";
import { releases } from "./pages/releases.js";
import { tag } from "./pages/tag.js";

const ROUTES = [
  [/^#?\/?$/, catalogue, "catalogue"],
  [/^#\/tags$/, catalogue, "catalogue"],
  [/^#\/tags\/([a-z0-9_]+)$/, tag, "catalogue"],
  [/^#\/customers$/, customer, "customers"],
  [/^#\/customers\/([^/]+)$/, customer, "customers"],
  [/^#\/releases$/, releases, "releases"],
  [/^#\/releases\/(\d+)$/, release, "releases"],
];

export function place() {
  const [path, query = ""] = location.hash.split("?");
  for (const [pattern, page, section] of ROUTES) {
    const found = path.match(pattern);
    if (found) {
      const words = found.slice(1).map(decodeURIComponent);
      return { page, section, words, query: new URLSearchParams(query) };
    }
  }
  return { page: catalogue, section: "catalogue", words: [], query: new URLSearchParams() };
}

export const to = {
  catalogue: () => "#/tags",
  tag: (slug) => `#/tags/${slug}`,
  customers: () => "#/customers",
  customer: (id, asOf = null) =>
    `#/customers/${encodeURIComponent(id)}${asOf ? `?as_of=${encodeURIComponent(asOf)}` : ""}`,
  releases: () => "#/releases",
  release: (id) => `#/releases/${id}`,
};
