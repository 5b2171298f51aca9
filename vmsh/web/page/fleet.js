// SPDX-License-Identifier: LGPL-2.1-or-later
// The fleet: a row for each domain, kept while it lives, so that focus and menus stay.
import { ask, confirmed, fleet, make, onFleet, toast } from "./app.js";

/* What can be done: its word for the server, when, and what is asked before. */
export const deeds = {
	start: { label: "Start", doing: "Starting", when: (d) => d.id < 0 },
	resume: { label: "Resume", doing: "Resuming", when: (d) => d.state === "paused" },
	shutdown: {
		label: "Shut down", doing: "Asked to shut down:", when: (d) => d.state === "running",
		ask: "The guest is asked to end by itself.",
	},
	suspend: { label: "Pause", doing: "Pausing", when: (d) => d.state === "running" },
	reboot: {
		label: "Reboot", doing: "Asked to reboot:", when: (d) => d.state === "running",
		ask: "The guest is asked to end and begins anew.",
	},
	destroy: {
		label: "Power off", doing: "Powering off", when: (d) => d.id >= 0, danger: true,
		ask: "Like pulling the plug: what the guest has not written to its disks is lost.",
	},
};

export async function perform(name, domain) {
	const deed = deeds[name];

	if (deed.ask && !await confirmed(`${deed.label} “${domain.name}”?`, deed.ask, deed.label))
		return;
	toast(`${deed.doing} ${domain.name}`);
	try {
		await ask(name, { domain: domain.uuid });
	} catch (error) {
		toast(error.message, true);
	}
}

/* ---- figures ---- */

function sized(n, digits = 1) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let i = 0;

	for (; n >= 1000 && i < units.length - 1; i++)
		n /= 1024;
	return `${n >= 100 || i === 0 ? Math.round(n) : n.toFixed(digits)} ${units[i]}`;
}

const rate = (n) => n < 1 ? "–" : sized(n) + "/s";

function lasted(s) {
	if (s < 60)
		return `${s} s`;
	if (s < 3600)
		return `${Math.floor(s / 60)} min`;
	if (s < 86400)
		return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
	return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

function setText(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

export function showState(badge, state) {
	setText(badge, state);
	badge.dataset.is = state === "running" ? "up" : state === "shut off" ? "off" :
		state === "crashed" ? "down" : "wait";
}

/* ---- a row ---- */

function menu(row) {
	const list = make("div.list", {});
	const details = make("details.menu", {}, make("summary", { "aria-label": "More" }, "⋯"), list);

	for (const name of ["suspend", "reboot", "destroy"]) {
		row.buttons[name] = make(deeds[name].danger ? "button.danger" : "button", {
			onclick: () => {
				details.open = false;
				perform(name, row.domain);
			},
		}, deeds[name].label);
		list.append(row.buttons[name]);
	}
	list.append(row.snapshots);
	details.addEventListener("keydown", (event) => {
		if (event.key === "Escape" && details.open) {
			details.open = false;
			details.firstChild.focus();
		}
	});
	details.addEventListener("focusout", (event) => {
		if (event.relatedTarget && !details.contains(event.relatedTarget))
			details.open = false;
	});
	row.menu = details;
	return details;
}

function primary(row, name) {
	row.buttons[name] = make(name === "start" ? "button.main" : "button", {
		onclick: () => perform(name, row.domain),
	}, deeds[name].label);
	return row.buttons[name];
}

function rowNew(domain) {
	const row = { domain, buttons: {} };
	const cell = (label, ...children) => make("td", { "data-label": label }, ...children);

	row.name = make("a", { href: `#/console/${domain.uuid}` });
	row.state = make("span.badge");
	row.cpu = make("span");
	row.bar = make("span.bar", { "aria-hidden": true }, make("span"));
	for (const figure of ["memory", "read", "write", "rx", "tx", "uptime"])
		row[figure] = make("span");
	row.console = make("a.button", { href: `#/console/${domain.uuid}` }, "Console");
	row.shell = make("a.button", { href: `#/shell/${domain.uuid}` }, "Shell");
	row.snapshots = make("a.button", { href: `#/snapshots/${domain.uuid}` }, "Snapshots");
	row.element = make("tr", {},
		make("th", { scope: "row" }, row.name), cell("State", row.state),
		cell("CPU", row.cpu, row.bar), cell("Memory", row.memory),
		cell("Disk", "↓ ", row.read, make("br"), "↑ ", row.write),
		cell("Network", "↓ ", row.rx, make("br"), "↑ ", row.tx), cell("Up", row.uptime),
		make("td.does", {}, row.console, row.shell, primary(row, "start"), primary(row, "resume"),
			primary(row, "shutdown"), menu(row)));
	return row;
}

function rowUpdate(row, domain) {
	const on = domain.id >= 0, cpus = Math.max(domain.vcpus, 1);

	row.domain = domain;
	setText(row.name, domain.name);
	showState(row.state, domain.state);
	setText(row.cpu, on ? `${domain.cpu.toFixed(domain.cpu < 10 ? 1 : 0)} %` : "–");
	row.bar.firstChild.style.width = `${Math.min(100, domain.cpu / cpus)}%`;
	setText(row.memory, domain.memory ? sized(domain.memory, 0) : "–");
	for (const figure of ["read", "write", "rx", "tx"])
		setText(row[figure], on ? rate(domain[figure]) : "–");
	setText(row.uptime, on ? lasted(domain.uptime) : "–");
	row.element.classList.toggle("off", !on);
	row.console.hidden = row.shell.hidden = !on;
	for (const [name, button] of Object.entries(row.buttons))
		button.hidden = fleet.readOnly || !deeds[name].when(domain);
	row.menu.firstChild.setAttribute("aria-label", `More for ${domain.name}`);
}

/* ---- the view ---- */

function summary() {
	const all = [...fleet.domains.values()], on = all.filter((d) => d.id >= 0);
	const memory = on.reduce((sum, d) => sum + d.memory, 0);
	const cpu = on.reduce((sum, d) => sum + d.cpu, 0);

	return `${on.length} of ${all.length} running, ${sized(memory)} of memory, ${cpu.toFixed(0)} % of a processor`;
}

export function fleetView() {
	const rows = new Map();
	const body = make("tbody");
	const line = make("p.summary");
	const empty = make("p.card", { hidden: true });
	const filter = make("input", {
		type: "search", id: "filter", placeholder: "Filter by name or state", "aria-label": "Filter by name or state",
		autocomplete: "off", oninput: () => update(),
	});
	const titles = ["Name", "State", "CPU", "Memory", "Disk", "Network", "Up"].map((title) =>
		make("th", { scope: "col" }, title));
	const table = make("table.fleet", {}, make("caption.unseen", {}, "Domains"),
		make("thead", {}, make("tr", {}, ...titles, make("th", { scope: "col" }, make("span.unseen", {}, "Actions")))),
		body);
	const element = make("div", {}, make("div.tools", {}, make("h1", {}, "Fleet"), line, filter), empty, table);

	function order(elements) {
		elements.forEach((row, i) => {
			if (body.children[i] !== row)
				body.insertBefore(row, body.children[i] || null);
		});
	}

	function update() {
		const wanted = filter.value.trim().toLowerCase();
		const shown = [...fleet.domains.values()].filter((d) =>
			d.name.toLowerCase().includes(wanted) || d.state.includes(wanted));

		for (const [uuid, row] of rows) {
			if (!shown.some((d) => d.uuid === uuid)) {
				row.element.remove();
				rows.delete(uuid);
			}
		}
		for (const domain of shown) {
			if (!rows.has(domain.uuid))
				rows.set(domain.uuid, rowNew(domain));
			rowUpdate(rows.get(domain.uuid), domain);
		}
		order(shown.map((d) => rows.get(d.uuid).element));
		setText(line, fleet.known ? summary() : "");
		table.hidden = !shown.length;
		empty.hidden = shown.length > 0 || !fleet.known;
		setText(empty, fleet.domains.size ? "No domain fits the filter." :
			"There are no domains yet: vmsh define FILE makes one.");
		element.classList.toggle("stale", !fleet.up);
	}

	function onKey(event) {
		if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
			event.preventDefault();
			filter.focus();
		}
	}

	const stop = onFleet(update);
	document.addEventListener("keydown", onKey);
	update();
	return {
		element,
		title: "Fleet",
		leave: () => {
			stop();
			document.removeEventListener("keydown", onKey);
		},
	};
}
