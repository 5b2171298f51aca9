/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands as tables: an entry names its options, and parsing, help and
 * completion all come from it.  A command is one entry and one function.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct shell;
struct command_args;

enum opt_kind {
	OPT_FLAG,		/* --name */
	OPT_STRING,		/* --name VALUE */
	OPT_NUMBER,		/* --name N, not negative */
	OPT_SIZE,		/* --name N[K|M|G|T] */
	OPT_TIME,		/* --name N[ms|s|m|h] */
};

enum opt_flags {
	OPT_POSITION = 1,	/* also by its position among the words */
	OPT_REQUIRED = 2,
	OPT_MANY = 4,		/* several times, or several words */
	OPT_HIDDEN = 8,		/* accepted because virsh has it; not in the help */
	OPT_OR_WHERE = 16,	/* required, unless --where chooses */
	OPT_CHANGES = 32,	/* of a command that only reads without it */
};

/* What completion offers for a value. */
enum opt_complete {
	COMPLETE_NOTHING,
	COMPLETE_WORDS,		/* the option's words; others are refused */
	COMPLETE_DOMAIN,
	COMPLETE_ACTIVE,	/* domains that run */
	COMPLETE_INACTIVE,
	COMPLETE_SNAPSHOT,	/* of the domain that the line names */
	COMPLETE_DISK,		/* likewise */
	COMPLETE_IFACE,
	COMPLETE_NETWORK,
	COMPLETE_POOL,
	COMPLETE_VOLUME,	/* of the pool that the line names; or a file */
	COMPLETE_FILE,
	COMPLETE_DIR,
	COMPLETE_COMMAND,
	COMPLETE_LINE,		/* a command and its words */
	COMPLETE_HOST,		/* a name of vmshrc's for a daemon */
	COMPLETE_ALIAS,
	COMPLETE_COLUMN,	/* columns of domains, with commas */
	COMPLETE_EXPRESSION,	/* the same, in an expression */
};

struct option_def {
	const char *name;
	char letter;			/* -q, or 0 */
	enum opt_kind kind;
	unsigned flags;
	enum opt_complete complete;
	const char *value;		/* "FILE" in the help */
	const char *words;		/* "raw qcow2" */
	const char *help;
};

enum command_flags {
	COMMAND_JSON = 1,	/* prints data: has --output and --json */
	COMMAND_OFFLINE = 2,	/* needs no daemon */
	COMMAND_HOSTS = 8,	/* reads only: several hosts can be asked at once */
	COMMAND_REST = 4,	/* options end at the first plain word: another command's line */
};

struct command {
	const char *name;		/* "start"; "image create" */
	const char *group;		/* "Domains" */
	const char *summary;
	const struct option_def *options;	/* up to one without name; NULL: none */
	unsigned flags;
	bool (*run)(struct shell *sh, struct command_args *args, GError **error);
	const char *more;		/* further paragraphs of the help, or NULL */
};

/* The i-th of all commands, in the order of the help; NULL behind the last. */
const struct command *command_at(unsigned i);

/*
 * The command that the first words name; *ret_used is how many words that is.
 * *error is a usage error that guesses what was meant.
 */
const struct command *command_find(const GPtrArray *words, unsigned *ret_used, GError **error);

/* The i-th option; after the table's own: --output, --json (if it prints data) and --help. */
const struct option_def *command_option(const struct command *cmd, unsigned i);

/* ---- arguments ---- */

/* words from `first` on, by the command's table. */
struct command_args *args_parse(const struct command *cmd, const GPtrArray *words, unsigned first,
			GError **error);
void args_free(struct command_args *args);
typedef struct command_args command_args;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(command_args, args_free)

/* Names that are not in the command's table are bugs. */
bool args_given(const struct command_args *args, const char *name);
/* NULL if not given.  The last one counts. */
const char *args_text(const struct command_args *args, const char *name);
/* The option's values as struct word; empty if not given. */
const GPtrArray *args_words(const struct command_args *args, const char *name);
uint64_t args_number(const struct command_args *args, const char *name, uint64_t otherwise);
/* In bytes; a number without a suffix counts units. */
uint64_t args_size(const struct command_args *args, const char *name, uint64_t unit,
		   uint64_t otherwise);
/* In milliseconds; a number without a suffix counts seconds. */
uint64_t args_ms(const struct command_args *args, const char *name, uint64_t otherwise);

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_XML, OUTPUT_CSV };

enum output_format args_output(const struct command_args *args);
/* Print JSON: it was asked for, or something that is made of it. */
bool args_json(const struct command_args *args);

/* The bits of the options that are given; flags ends with one without option. */
struct option_bit {
	const char *option;
	unsigned bit;
};
unsigned args_bits(const struct command_args *args, const struct option_bit *flags);
const struct command *args_command(const struct command_args *args);

/* ---- help ---- */

/* Groups in the order of their first command; NULL: the first, and after the last. */
const char *command_group_next(const char *group);

/* "start DOMAIN... [--paused]" */
char *command_synopsis(const struct command *cmd);
/* The whole page; width in columns. */
char *command_help(const struct command *cmd, unsigned width);
/* All commands by groups. */
char *command_overview(unsigned width);
/* What the COMMANDS of the manual page are. */
char *command_manual(void);
/* What stands for its value: "FILE", "raw|qcow2"; NULL for a flag. */
char *option_value(const struct option_def *opt);
