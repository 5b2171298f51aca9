// SPDX-License-Identifier: LGPL-2.1-or-later
// A domain's snapshots as a tree, and the way back to each.
import { ask, confirmed, fleet, make, onFleet, toast } from "./app.js";
import { tabs } from "./terminal.js";

function when(seconds) {
	return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function node(snapshot, all, current, revert, depth) {
	const children = all.filter((other) => other.parent === snapshot.name);
	const item = make("li", {}, make("div.node", {},
		make("strong", {}, snapshot.name),
		snapshot.name === current ? make("span.badge", { "data-is": "up" }, "current") : null,
		make("span.quiet", {}, `${when(snapshot.created)}, ${snapshot.state}${snapshot.memory ? ", with memory" : ""}`),
		fleet.readOnly ? null : make("button", {
			onclick: () => revert(snapshot.name), "aria-label": `Revert to ${snapshot.name}`,
		}, "Revert"),
		snapshot.description ? make("p.quiet", {}, snapshot.description) : null));

	/* no daemon of ours sends a circle */
	if (children.length && depth < all.length)
		item.append(make("ul", {}, ...children.map((child) => node(child, all, current, revert, depth + 1))));
	return item;
}

export function snapshotsView(uuid) {
	const bar = tabs(uuid, "snapshots");
	const body = make("div", { "aria-busy": "true" }, make("p.quiet", {}, "Looking …"));
	const element = make("div", {}, bar.element, body);

	async function load() {
		let said;

		try {
			said = await ask("snapshots", { domain: uuid });
		} catch (error) {
			body.replaceChildren(make("p.card.bad", { role: "alert" }, error.message));
			return;
		}
		const names = new Set(said.snapshots.map((s) => s.name));
		const roots = said.snapshots.filter((s) => !names.has(s.parent));

		body.removeAttribute("aria-busy");
		body.replaceChildren(roots.length ?
			make("ul.tree", {}, ...roots.map((s) => node(s, said.snapshots, said.current, revert, 0))) :
			make("p.card", {}, "There are no snapshots: vmsh snapshot-create-as DOMAIN NAME makes one."));
	}

	async function revert(name) {
		const domain = fleet.domains.get(uuid);

		if (!await confirmed(`Revert to “${name}”?`, `${domain ? domain.name : "The domain"} becomes what it was ` +
			"then. What its disks have got since, and no snapshot holds, is lost.", "Revert"))
			return;
		toast(`Reverting to ${name}`);
		try {
			await ask("revert", { domain: uuid, snapshot: name });
			toast(`Reverted to ${name}`);
		} catch (error) {
			toast(error.message, true);
		}
		load();
	}

	const stop = onFleet(bar.update);
	load();
	return { element, title: "Snapshots", leave: stop };
}
