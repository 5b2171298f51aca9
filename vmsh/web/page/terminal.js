// SPDX-License-Identifier: LGPL-2.1-or-later
// A terminal to a domain's serial console or to a shell in it.
//
// What was drawn is told to the server, which sends no more than a window ahead;
// what is typed waits here until the guest has taken what was typed before.  The
// guest's bytes reach xterm.js only: titles, links and clipboards stay its own.
import { announce, fleet, make, onFleet, socketTo, toast } from "./app.js";
import { perform, deeds, showState } from "./fleet.js";

const PIECE = 4096, TYPED_MAX = 65536;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const READER = "vmsh-reader";

/* xterm.js makes style elements, which our policy allows by the page's nonce alone. */
const nonce = document.getElementById("style").nonce;
const create = document.createElement.bind(document);

document.createElement = (name, ...rest) => {
	const element = create(name, ...rest);

	if (String(name).toLowerCase() === "style")
		element.nonce = nonce;
	return element;
};

/* ---- xterm.js, the release of npm and that of Debian ---- */

const themes = {
	light: {
		background: "#ffffff", foreground: "#1c2530", cursor: "#0f5e73", cursorAccent: "#ffffff",
		selectionBackground: "#b9dbe6", selection: "#b9dbe680",
		black: "#1c2530", red: "#b3261e", green: "#1b6e3c", yellow: "#7d5700", blue: "#1f57c3",
		magenta: "#8b2fa8", cyan: "#0f6b7d", white: "#5b6570", brightBlack: "#6b7682",
		brightRed: "#c9382f", brightGreen: "#23814a", brightYellow: "#8f6500", brightBlue: "#2f6be0",
		brightMagenta: "#a03cc0", brightCyan: "#157f94", brightWhite: "#3b444d",
	},
	dark: {
		background: "#0d1319", foreground: "#dfe6ee", cursor: "#5fc3de", cursorAccent: "#0d1319",
		selectionBackground: "#2b5566", selection: "#5fc3de60",
	},
};
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const theme = () => darkness.matches ? themes.dark : themes.light;

function xtermModern(options) {
	const term = new window.Terminal({ ...options, linkHandler: { activate: () => {} } });
	const fit = new window.FitAddon.FitAddon();

	term.loadAddon(fit);
	return {
		term,
		open: (element) => term.open(element),
		fit: () => fit.fit(),
		write: (bytes, drawn) => term.write(bytes, drawn),
		onData: (fn) => {
			term.onData(fn);
			term.onBinary((text) => fn(Uint8Array.from(text, (c) => c.charCodeAt(0))));
		},
		onResize: (fn) => term.onResize(fn),
		set: (name, value) => { term.options[name] = value; },
		paste: (text) => term.paste(text),
	};
}

/* Its write() takes text and tells nothing: we look whether its buffer is empty. */
function xtermOld(options) {
	const term = new window.Terminal(options);
	let decoder = new TextDecoder();
	let drawn = [], looks = false;

	function look() {
		looks = term._core.writeBuffer.length > 0;
		if (looks)
			setTimeout(look, 10);
		else
			drawn.splice(0).forEach((fn) => fn());
	}
	return {
		term,
		open: (element) => term.open(element),
		fit: () => window.xtermFit(term),
		write: (bytes, fn) => {
			term.write(decoder.decode(bytes, { stream: true }));
			drawn.push(fn);
			if (!looks) {
				looks = true;
				setTimeout(look, 0);
			}
		},
		onData: (fn) => term.on("data", fn),
		onResize: (fn) => term.on("resize", fn),
		set: (name, value) => term.setOption(name, value),
		paste: (text) => term._core.handler(text.replace(/\r?\n/g, "\r")),
		reset: () => { decoder = new TextDecoder(); },
	};
}

const fontSize = () => window.innerWidth < 600 ? 11 : 14;

function xtermNew() {
	const options = {
		fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
		fontSize: fontSize(),
		scrollback: 5000, theme: theme(), cursorBlink: false,
		screenReaderMode: localStorage.getItem(READER) === "yes",
	};

	return window.FitAddon ? xtermModern(options) : xtermOld(options);
}

/* ---- a domain's head: where to, and what state ---- */

export function tabs(uuid, at) {
	const name = make("h1"), state = make("span.badge");
	const start = make("button.main", { onclick: () => perform("start", fleet.domains.get(uuid)) }, "Start");
	const resume = make("button.main", { onclick: () => perform("resume", fleet.domains.get(uuid)) }, "Resume");
	const link = (what, label) => make("a", {
		href: `#/${what}/${uuid}`, "aria-current": what === at ? "page" : null,
	}, label);

	function update() {
		const domain = fleet.domains.get(uuid);

		name.textContent = domain ? domain.name : fleet.known ? "no such domain" : "…";
		showState(state, domain ? domain.state : "unknown");
		start.hidden = !domain || fleet.readOnly || !deeds.start.when(domain);
		resume.hidden = !domain || fleet.readOnly || !deeds.resume.when(domain);
	}
	update();
	return {
		update,
		element: make("div.tools", {}, make("a.back", { href: "#/", "aria-label": "Back to the fleet" }, "←"), name, state,
			start, resume,
			make("nav.tabs", { "aria-label": "Of this domain" }, link("console", "Console"), link("shell", "Shell"),
				link("snapshots", "Snapshots"))),
	};
}

/* ---- the socket, both ways ---- */

function lineNew(kind, uuid, x, on) {
	const encoder = new TextEncoder();
	let socket = null, queue = [], waiting = 0;

	function send(words) {
		if (socket && socket.readyState === WebSocket.OPEN)
			socket.send(JSON.stringify(words));
	}

	function pump() {
		while (queue.length && socket && socket.readyState === WebSocket.OPEN &&
			waiting + queue[0].length <= TYPED_MAX) {
			const piece = queue.shift();

			waiting += piece.length;
			socket.send(piece);
		}
	}

	function said(words) {
		if (words.is === "left") {
			waiting = Math.max(0, waiting - words.bytes);
			pump();
		} else {
			on[words.is](words);
		}
	}

	function close() {
		const old = socket;

		socket = null;
		queue = [];
		waiting = 0;
		if (!old)
			return;
		old.onclose = old.onmessage = null;
		old.close();
	}

	return {
		close,
		size: () => send({ do: "size", columns: x.term.cols, rows: x.term.rows }),
		type: (data) => {
			const bytes = typeof data === "string" ? encoder.encode(data) : data;

			for (let i = 0; i < bytes.length; i += PIECE)
				queue.push(bytes.slice(i, i + PIECE));
			pump();
		},
		open: (mode) => {
			close();
			socket = socketTo(kind, { domain: uuid, mode, columns: x.term.cols, rows: x.term.rows });
			socket.onmessage = (message) => {
				if (typeof message.data === "string")
					said(JSON.parse(message.data));
				else
					x.write(new Uint8Array(message.data), () =>
						send({ do: "seen", bytes: message.data.byteLength }));
			};
			socket.onclose = () => {
				socket = null;
				on.lost();
			};
		},
	};
}

/* ---- the view ---- */

export function terminalView(uuid, kind) {
	const bar = tabs(uuid, kind);
	const status = make("span", { role: "status" });
	const take = make("button", { hidden: true, onclick: () => beginHere("take") }, "Take over");
	const again = make("button.main", { hidden: true, onclick: () => beginHere("write") }, "Open again");
	const reader = make("button", { "aria-pressed": localStorage.getItem(READER) === "yes" ? "true" : "false" }, "Screen reader");
	const box = make("div.screen", { role: "group", "aria-label": kind === "shell" ? "Shell" : "Console" });
	const copy = make("button", { onclick: () => copyNow() }, "Copy");
	const paste = make("button", { onclick: () => pasteNow() }, "Paste");
	const element = make("div.full", {}, bar.element,
		make("div.tools.small", {}, status, take, again, make("span.gap"), copy, paste, reader),
		box, make("p.quiet.hint", {}, "Ctrl-Shift-C copies, Ctrl-Shift-V pastes, Ctrl-] leaves the terminal, which is ",
			make("a", { href: "/xterm-licence.txt" }, "xterm.js"), "."));
	const x = xtermNew();
	let tries = 0, timer = 0, waits = false, watching = false;

	function begin(mode) {
		clearTimeout(timer);
		waits = false;
		again.hidden = take.hidden = true;
		status.textContent = "Connecting …";
		x.term.reset();
		if (x.reset)
			x.reset();
		line.open(mode);
	}

	/* The button that was pressed goes away: what is typed now is for the guest. */
	function beginHere(mode) {
		begin(mode);
		x.term.focus();
	}

	function tell(text) {
		status.textContent = text;
		announce(text);
	}

	function retry(mode) {
		clearTimeout(timer);
		timer = setTimeout(() => begin(mode), RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
	}

	/* A console that ends while the guest runs was taken by another: then we watch. */
	function ended(words) {
		const domain = fleet.domains.get(uuid);

		line.close();
		if (kind === "shell") {
			tell(words.why || `The shell has ended with status ${words.code}.`);
			again.hidden = false;
		} else if (words.why || !fleet.up) {
			tell(words.why || "The console has ended.");
			waits = !domain || domain.id < 0;
			if (!waits)
				retry(watching ? "watch" : "write");
		} else {
			tell("The console has ended.");
			timer = setTimeout(() => {
				const now = fleet.domains.get(uuid);

				waits = !now || now.id < 0;
				if (!waits)
					begin("watch");
				else
					tell("It is off. The console opens when it runs.");
			}, 2500);
		}
	}

	const line = lineNew(kind, uuid, x, {
		open: (words) => {
			tries = 0;
			watching = words.mode === "watch";
			tell(watching ? `Watching only${words.why ? ": " + words.why.replace(/;.*/, "") : ""}.` : "Connected.");
			take.hidden = !watching || fleet.readOnly;
			x.set("disableStdin", watching);
			line.size();
		},
		ended,
		lost: () => {
			tell("The connection is lost; trying again.");
			retry(watching ? "watch" : "write");
		},
	});

	async function copyNow() {
		const text = x.term.getSelection();

		if (!text) {
			toast("Nothing is selected.");
			return;
		}
		try {
			await navigator.clipboard.writeText(text);
			toast("Copied.");
		} catch (error) {
			toast("The browser does not let the page copy; use its own menu.", true);
		}
		x.term.focus();
	}

	async function pasteNow() {
		try {
			x.paste(await navigator.clipboard.readText());
		} catch (error) {
			toast("The browser does not let the page paste; use Ctrl-Shift-V.", true);
		}
		x.term.focus();
	}

	/* Every key is the guest's but these three. */
	function onKey(event) {
		if (event.type !== "keydown" || !event.ctrlKey)
			return true;
		if (event.code === "BracketRight" || event.key === "]") {
			event.preventDefault();
			bar.element.querySelector(".back").focus();
			return false;
		}
		if (event.shiftKey && event.code === "KeyC") {
			event.preventDefault();
			copyNow();
			return false;
		}
		return !(event.shiftKey && event.code === "KeyV");
	}

	function update() {
		const domain = fleet.domains.get(uuid);

		bar.update();
		if (domain)
			document.title = `${domain.name} – vmsh`;
		if (waits && domain && domain.id >= 0)
			begin("write");
	}

	reader.addEventListener("click", () => {
		const on = reader.getAttribute("aria-pressed") !== "true";

		localStorage.setItem(READER, on ? "yes" : "no");
		reader.setAttribute("aria-pressed", String(on));
		x.set("screenReaderMode", on);
	});
	const onTheme = () => x.set("theme", theme());
	let size = fontSize();
	const fitting = new ResizeObserver(() => {
		if (size !== fontSize())
			x.set("fontSize", size = fontSize());
		x.fit();
	});
	const stop = onFleet(update);

	darkness.addEventListener("change", onTheme);
	return {
		element,
		title: kind,
		shown: () => {
			x.open(box);
			x.term.attachCustomKeyEventHandler(onKey);
			x.onData(line.type);
			x.onResize(line.size);
			fitting.observe(box);
			x.fit();
			begin("write");
			x.term.focus();
		},
		leave: () => {
			clearTimeout(timer);
			stop();
			fitting.disconnect();
			darkness.removeEventListener("change", onTheme);
			line.close();
			(x.term.dispose || x.term.destroy).call(x.term);
		},
	};
}
