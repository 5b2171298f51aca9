/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command tables: parsing, help and completion come from them. */
#include "config.h"

#include <string.h>

#include "vmsh/command.h"
#include "vmsh/complete.h"
#include "vmsh/image-options.h"
#include "vmsh/run.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static command_args *parse(const char *line, GError **error)
{
	g_autoptr(GPtrArray) commands = words_split(line, error);
	const struct command *cmd;
	unsigned used;

	g_assert_nonnull(commands);
	cmd = command_find(commands->pdata[0], &used, error);
	return cmd ? args_parse(cmd, commands->pdata[0], used, error) : NULL;
}

static command_args *parsed(const char *line)
{
	g_autoptr(GError) error = NULL;
	command_args *a = parse(line, &error);

	g_assert_no_error(error);
	return a;
}

static void assert_refused(const char *line, const char *says)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(parse(line, &error));
	g_assert_error(error, USAGE_ERROR, 0);
	g_test_message("%s: %s", line, error->message);
	g_assert_nonnull(strstr(error->message, says));
}

static void options_may_stand_anywhere(void)
{
	g_autoptr(command_args) a = parsed("shutdown --mode=acpi web-1 --timeout 5 web-2 --wait");

	g_assert_cmpstr(args_text(a, "mode"), ==, "acpi");
	g_assert_cmpuint(args_number(a, "timeout", 0), ==, 5);
	g_assert_cmpuint(args_words(a, "domain")->len, ==, 2);
	g_assert_true(args_given(a, "wait"));
	g_assert_false(args_given(a, "help"));
}

static void positions_can_be_written_as_options_like_in_virsh(void)
{
	g_autoptr(command_args) a = parsed("setmem --domain web --size 512M --config");

	g_assert_cmpstr(args_text(a, "domain"), ==, "web");
	g_assert_cmpuint(args_size(a, "size", 1024, 0), ==, 512 << 20);
}

static void many_words_leave_one_for_the_position_behind(void)
{
	g_autoptr(command_args) a = parsed("setmem web-1 web-2 1024");

	g_assert_cmpuint(args_words(a, "domain")->len, ==, 2);
	g_assert_cmpuint(args_size(a, "size", 1024, 0), ==, 1 << 20);
}

static void letters_are_those_of_qemu_img(void)
{
	g_autoptr(command_args) a =
		parsed("image convert -pqf raw -Oqcow2 -o compat=1.1 -o cluster_size=4k a.raw b");

	g_assert_true(args_given(a, "progress") && args_given(a, "quiet"));
	g_assert_cmpstr(args_text(a, "format"), ==, "raw");
	g_assert_cmpstr(args_text(a, "target-format"), ==, "qcow2");
	g_assert_cmpuint(args_words(a, "options")->len, ==, 2);
	g_assert_cmpstr(args_text(a, "target"), ==, "b");
}

static void a_negative_size_is_a_word_and_two_dashes_end_options(void)
{
	g_autoptr(command_args) a = parsed("image resize x.qcow2 -1G");
	g_autoptr(command_args) b = parsed("image info -- -f");

	g_assert_cmpstr(args_text(a, "size"), ==, "-1G");
	g_assert_cmpstr(args_text(b, "file"), ==, "-f");
}

static void mistakes_say_what_was_meant(void)
{
	assert_refused("strat web", "did you mean 'start'?");
	assert_refused("start web --pasued", "did you mean --paused?");
	assert_refused("image creat x 1G", "did you mean 'image create'?");
	assert_refused("image", "help image");
	assert_refused("start", "start DOMAIN...");
	assert_refused("start --paused=1 web", "takes no value");
	assert_refused("shutdown web --mode", "needs a value");
	assert_refused("shutdown web --mode apci", "did you mean 'acpi'?");
	assert_refused("shutdown web --mode politely", "acpi|agent");
	assert_refused("shutdown web --timeout soon", "no number");
	assert_refused("image create x 1Q", "no size");
	assert_refused("domid web db", "too many");
	assert_refused("domid -x web", "-x");
	assert_refused("image info a -f raw -f raw", "twice");
}

static void every_command_has_a_page_and_a_sound_table(void)
{
	const struct option_def *opt;
	const struct command *cmd;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		g_autofree char *page = command_help(cmd, 60);
		bool many = false;

		g_assert_nonnull(cmd->run);
		g_assert_true(g_str_has_prefix(page, cmd->name));
		for (unsigned k = 0; (opt = command_option(cmd, k)); k++) {
			g_assert_nonnull(opt->help);
			g_assert_true(opt->complete != COMPLETE_WORDS || opt->words);
			g_assert_false(many && (opt->flags & OPT_POSITION) &&
				       !(opt->flags & OPT_REQUIRED));
			many |= (opt->flags & OPT_POSITION) && (opt->flags & OPT_MANY);
		}
	}
	g_assert_cmpuint(command_at(0)->name != NULL, ==, true);
}

static char *completed(const char *context, const char *text, enum opt_complete *files)
{
	struct shell sh = { .uri = (char *)"vmm+unix:///system?socket=/nonexistent" };
	g_autoptr(GPtrArray) list = complete_word(&sh, context, text, files);

	g_ptr_array_add(list, NULL);
	return g_strjoinv(" ", (char **)list->pdata);
}

static void assert_completes(const char *context, const char *text, const char *want)
{
	enum opt_complete files;
	g_autofree char *got = completed(context, text, &files);

	g_assert_cmpstr(got, ==, want);
}

static void completion_knows_commands_options_and_values(void)
{
	assert_completes("", "shut", "shutdown");
	assert_completes("list; ", "capab", "capabilities");
	assert_completes("image ", "c", "create check compare commit convert");
	assert_completes("start web ", "--p", "--parallel --paused");
	assert_completes("shutdown --mode ", "", "acpi agent");
	assert_completes("shutdown --mode=", "ac", "acpi");
	assert_completes("image create -f ", "q", "qcow2");
	assert_completes("help ", "dest", "destroy");
	assert_completes("nonsense ", "x", "");
}

static void completion_follows_a_command_inside_a_command(void)
{
	assert_completes("watch ", "capab", "capabilities");
	assert_completes("watch -n 1s list ", "--sor", "--sort");
	assert_completes("time watch shutdown --mode ", "a", "acpi agent");
	assert_completes("list --columns ", "name,upt", "name,uptime_s");
	assert_completes("stop --where ", "memory_mb > 5 and vc", "memory_mb > 5 and vcpus");
	assert_completes("alias a list ", "--fil", "--filter");
}

static void where_takes_the_place_of_names(void)
{
	g_autoptr(command_args) a = parsed("setmem --where 'vcpus > 1' 512M --delay 1.5s");
	g_autoptr(command_args) b = parsed("setmem web-1 --where 'vcpus > 1' 512M");

	g_assert_cmpuint(args_words(a, "domain")->len, ==, 0);
	g_assert_cmpuint(args_ms(a, "delay", 0), ==, 1500);
	g_assert_cmpuint(args_words(b, "domain")->len, ==, 1);
	assert_refused("start --dry-run", "DOMAIN is missing");
	assert_refused("start --delay soon web", "500ms");
}

static void output_has_its_formats_and_json_its_old_name(void)
{
	g_autoptr(command_args) a = parsed("list -o csv");
	g_autoptr(command_args) b = parsed("list --json");
	g_autoptr(command_args) c = parsed("list --output table");
	g_autoptr(command_args) d = parsed("image bench x -o 4096 --output xml");

	g_assert_cmpint(args_output(a), ==, OUTPUT_CSV);
	g_assert_cmpint(args_output(b), ==, OUTPUT_JSON);
	g_assert_false(args_json(c));
	g_assert_cmpint(args_output(d), ==, OUTPUT_XML);
	g_assert_cmpstr(args_text(d, "offset"), ==, "4096");
	assert_refused("list -o yaml", "table|json|xml|csv");
}

static void completion_says_where_file_names_fit(void)
{
	enum opt_complete files;

	g_free(completed("define ", "", &files));
	g_assert_cmpint(files, ==, COMPLETE_FILE);
	g_free(completed("image rebase -b ", "", &files));
	g_assert_cmpint(files, ==, COMPLETE_FILE);
	g_free(completed("cd ", "", &files));
	g_assert_cmpint(files, ==, COMPLETE_DIR);
	g_free(completed("start ", "", &files));
	g_assert_cmpint(files, ==, COMPLETE_NOTHING);
}

static void image_options_are_parsed_or_named(void)
{
	g_autoptr(command_args) good = parsed(
		"image create x 1G -o cluster_size=2M,compat=v2,lazy_refcounts=on -o size=2G");
	g_autoptr(command_args) bad = parsed("image create x 1G -o cluser_size=2M");
	struct image_create_opts o = { 0 };
	g_autoptr(GError) error = NULL;
	g_auto(GStrv) held G_GNUC_UNUSED =
		image_options_parse(args_words(good, "options"), &o, NULL);

	g_assert_cmpuint(o.cluster_bytes, ==, 2 << 20);
	g_assert_cmpstr(o.compat, ==, "0.10");
	g_assert_true(o.lazy_refcounts && o.bytes == 2ull << 30);
	g_assert_null(image_options_parse(args_words(bad, "options"), &o, &error));
	g_assert_nonnull(strstr(error->message, "cluser_size"));
}

static void run_writes_the_xml_that_nobody_wants_to_write(void)
{
	g_autoptr(command_args) a = parsed("run --kernel /k --cmdline 'a<b' --memory 512 --cpus 2 "
					   "--forward 2222:22 --forward udp:127.0.0.1:53:53");
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = run_xml(a, &error);

	g_assert_no_error(error);
	g_assert_nonnull(strstr(xml, "<cmdline>a&lt;b</cmdline>"));
	g_assert_nonnull(strstr(xml, "<memory unit='KiB'>524288</memory>"));
	g_assert_nonnull(strstr(xml, "<range start='2222' to='22'/>"));
	g_assert_nonnull(strstr(xml, "<portForward proto='udp' address='127.0.0.1'>"));
}

static void run_refuses_ports_that_are_none(void)
{
	static const char *const bad[] = { "22", "0:22", "22:65536", "x:y", "udp:1", "1:2:3:4:5" };

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *line = g_strdup_printf("run --kernel /k --forward %s", bad[i]);
		g_autoptr(command_args) a = parsed(line);
		g_autoptr(GError) error = NULL;

		g_assert_null(run_xml(a, &error));
		g_assert_error(error, USAGE_ERROR, 0);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define T(name) g_test_add_func("/vmsh/command/" #name, name)
	T(options_may_stand_anywhere);
	T(positions_can_be_written_as_options_like_in_virsh);
	T(many_words_leave_one_for_the_position_behind);
	T(letters_are_those_of_qemu_img);
	T(a_negative_size_is_a_word_and_two_dashes_end_options);
	T(mistakes_say_what_was_meant);
	T(every_command_has_a_page_and_a_sound_table);
	T(completion_knows_commands_options_and_values);
	T(completion_follows_a_command_inside_a_command);
	T(where_takes_the_place_of_names);
	T(output_has_its_formats_and_json_its_old_name);
	T(completion_says_where_file_names_fit);
	T(image_options_are_parsed_or_named);
	T(run_writes_the_xml_that_nobody_wants_to_write);
	T(run_refuses_ports_that_are_none);
	return g_test_run();
}
