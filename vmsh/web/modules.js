/* The table of modules above, as a page has it: the terminal, and what fits it to its place. */
const made = {};
const load = (name) => {
	if (!made[name]) {
		const module = made[name] = { exports: {} };
		const folder = name.split("/").slice(0, -1);
		modules[name](module, module.exports, (wanted) => {
			const path = [...folder];
			for (const part of wanted.split("/")) {
				if (part === "..")
					path.pop();
				else if (part !== ".")
					path.push(part);
			}
			return load(path.join("/") + ".js");
		});
	}
	return made[name].exports;
};
window.Terminal = load("public/Terminal.js").Terminal;
window.xtermFit = load("addons/fit/fit.js").fit;
