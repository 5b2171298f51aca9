// SPDX-License-Identifier: LGPL-2.1-or-later
// The page: signing in, the fleet's socket, which view is shown, and what views share.
//
// Names of domains and all that guests say are others' words: they become text
// nodes, never markup.  The session's key is kept for this origin alone.
import { fleetView } from "./fleet.js";
import { snapshotsView } from "./snapshots.js";
import { terminalView } from "./terminal.js";

const KEY = "vmsh-key";
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export const byId = (id) => document.getElementById(id);

/* make("p.note", { title: "x", onclick: f }, "text", child, ...) */
export function make(what, properties = {}, ...children) {
	const [name, ...classes] = what.split(".");
	const element = document.createElement(name);

	if (classes.length)
		element.className = classes.join(" ");
	for (const [key, value] of Object.entries(properties)) {
		if (key.startsWith("on"))
			element.addEventListener(key.slice(2), value);
		else if (value !== null && value !== undefined && value !== false)
			element.setAttribute(key, value === true ? "" : value);
	}
	element.append(...children.filter((child) => child !== null && child !== undefined));
	return element;
}

/* ---- telling the user ---- */

export function announce(text) {
	byId("news").textContent = text;
}

export function toast(text, bad = false) {
	const box = make(bad ? "div.toast.bad" : "div.toast", { role: bad ? "alert" : "status" }, text);
	const close = make("button.plain", { "aria-label": "Dismiss", onclick: () => box.remove() }, "×");

	box.append(close);
	byId("toasts").append(box);
	setTimeout(() => box.remove(), bad ? 15000 : 5000);
}

export function confirmed(title, text, yes) {
	const dialog = byId("ask");

	byId("ask-title").textContent = title;
	byId("ask-text").textContent = text;
	byId("ask-yes").textContent = yes;
	dialog.returnValue = "no";
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
	});
}

/* ---- the server ---- */

async function post(path, body, headers = {}) {
	const answer = await fetch(path, {
		method: "POST", body: JSON.stringify(body), credentials: "same-origin",
		headers: { "Content-Type": "application/json", ...headers },
	});
	const said = await answer.json();

	if (!answer.ok)
		throw Object.assign(new Error(said.error || answer.statusText), { status: answer.status });
	return said;
}

async function postAs(path, words) {
	try {
		return await post(path, words, { "X-Vmsh-Key": localStorage.getItem(KEY) });
	} catch (error) {
		if (error.status === 401)
			signedOut(error.message);
		throw error;
	}
}

export const ask = (what, words = {}) => postAs("/do", { do: what, ...words });

export function socketTo(path, words = {}) {
	const query = new URLSearchParams(words);
	const socket = new WebSocket(`ws://${location.host}/ws/${path}?${query}`,
		["vmsh", "key." + localStorage.getItem(KEY)]);

	socket.binaryType = "arraybuffer";
	return socket;
}

/* ---- the fleet ---- */

export const fleet = { domains: new Map(), readOnly: false, up: false, known: false };
const listeners = new Set();
let socket = null, tries = 0;

/* fn() is called after each change until the returned function is. */
export function onFleet(fn) {
	listeners.add(fn);
	return () => listeners.delete(fn);
}

function showLink(is, text) {
	const badge = byId("link");

	if (badge.dataset.is === is && badge.textContent === text)
		return;
	badge.dataset.is = is;
	badge.textContent = text;
}

function tellChanges(before) {
	for (const [uuid, domain] of fleet.domains) {
		const old = before.get(uuid);

		if (old && old.state !== domain.state)
			announce(`${domain.name}: ${domain.state}`);
	}
}

function onNews(said) {
	if (said.is === "down") {
		fleet.up = false;
		showLink("down", "no daemon");
		byId("link").title = said.why;
	} else {
		const before = fleet.domains;

		fleet.domains = new Map(said.domains.map((domain) => [domain.uuid, domain]));
		fleet.readOnly = said.read_only;
		fleet.up = fleet.known = true;
		byId("host").textContent = said.host || "";
		byId("link").title = "";
		showLink("up", fleet.readOnly ? "read-only" : "live");
		tellChanges(before);
	}
	for (const fn of [...listeners])
		fn();
}

function lost() {
	socket = null;
	fleet.up = false;
	showLink("down", "no connection");
	for (const fn of [...listeners])
		fn();
	setTimeout(connect, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
}

/* A socket that is refused does not say why: a request does. */
async function connect() {
	if (socket || !localStorage.getItem(KEY))
		return;
	try {
		await postAs("/hello", {});
	} catch (error) {
		if (error.status !== 401)
			lost();
		return;
	}
	socket = socketTo("fleet");
	socket.onopen = () => { tries = 0; };
	socket.onmessage = (message) => {
		socket.send("seen");
		onNews(JSON.parse(message.data));
	};
	socket.onclose = lost;
}

/* ---- signing in ---- */

function signedOut(why) {
	localStorage.removeItem(KEY);
	showLink("wait", "signed out");
	show(signInView(why));
}

async function signIn(token) {
	try {
		localStorage.setItem(KEY, (await post("/login", { token })).key);
	} catch (error) {
		signedOut(error.status ? error.message : "The server can't be reached.");
		return;
	}
	route();
	connect();
}

function signInView(why) {
	const input = make("input", { id: "token", autocomplete: "off", spellcheck: "false", required: true });
	const form = make("form.card", {
		onsubmit: (event) => {
			event.preventDefault();
			signIn(input.value.trim().split("#").pop());
		},
	},
	make("h1", {}, "Sign in"),
	make("p", { role: "alert" }, why || ""),
	make("p", {}, "Press Enter where ", make("code", {}, "vmsh web"), " runs: it prints a link that " +
		"works once, within ten minutes. Open it, or put it here."),
	make("label", { for: "token" }, "Link"), input,
	make("button.main", {}, "Sign in"));

	return { element: form, title: "Sign in" };
}

/* ---- views ---- */

let view = null;

function show(next) {
	if (view && view.leave)
		view.leave();
	view = next;
	byId("view").replaceChildren(next.element);
	document.title = next.title ? `${next.title} – vmsh` : "vmsh";
	if (next.shown)
		next.shown();
}

const views = { console: terminalView, shell: terminalView, snapshots: snapshotsView };

function route() {
	const [, what, uuid] = location.hash.split("/");

	if (/^#[0-9a-f]{64}$/.test(location.hash)) {
		const token = location.hash.slice(1);

		history.replaceState(null, "", "/#/");
		signIn(token);
	} else if (location.hash === "#view") {
		byId("view").focus();
	} else if (!localStorage.getItem(KEY)) {
		show(signInView());
	} else if (views[what] && /^[0-9a-f-]{36}$/.test(uuid || "")) {
		show(views[what](uuid, what));
	} else {
		show(fleetView());
	}
}

window.addEventListener("hashchange", route);
window.addEventListener("DOMContentLoaded", () => { route(); connect(); });
if (document.readyState !== "loading")
	queueMicrotask(() => { if (!view) { route(); connect(); } });
