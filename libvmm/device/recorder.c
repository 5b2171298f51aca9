/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the devices to the journal.
 *
 * Theory.  There are two stages, buffers of notes.  Devices append to the one
 * in front, under the lock; the thread takes it, leaves the other in its place
 * and writes without the lock.  Bytes that follow each other within one tick
 * of the coarse clock are one note, so a UART's single bytes cost a copy.
 *
 * The thread is woken for the first note after a rest, and when a stage is half
 * full; else it looks again after REST_MS.  So the first byte is in the file at
 * once, a flood costs few wake-ups, and a worker that is killed loses the output
 * of its last REST_MS at most.
 */
#include "config.h"
#include "libvmm/device/recorder.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define STAGE_BYTES (256u << 10)
#define NOTE_BYTES_MAX (64u << 10)
#define REST_MS 20

enum note_kind { NOTE_DATA, NOTE_BOOT };

struct note {			/* data follows, then up to 7 bytes of nothing */
	uint32_t kind, len;
	uint32_t device;	/* of a boot: its cause */
	uint32_t tick;		/* low bits of the coarse clock, in ns: same note, or a new one */
	int64_t time_us;
	uint64_t pos;
};

struct stage {
	uint8_t *bytes;
	size_t used;
	size_t last;		/* where the last note is */
};

struct recorder {
	struct conlog_writer *writer;	/* the thread's; NULL after a failure */
	GPtrArray *names;		/* not changed once the thread runs */
	pthread_t thread;
	bool running;			/* there is a thread; the owner's */

	pthread_mutex_t lock;		/* protects all below */
	pthread_cond_t wake;
	struct stage stages[2];
	struct stage *front;
	uint64_t dropped_at[CONLOG_DEVICES_MAX];	/* the position behind it; 0: none */
	bool resting;			/* the thread waits for the first note */
	bool failed, ending;
};

/* ---- any thread ---- */

static size_t note_bytes(size_t len)
{
	return sizeof(struct note) + (len + 7) / 8 * 8;
}

static struct note *stage_note(const struct stage *s, size_t at)
{
	return (struct note *)(void *)(s->bytes + at);
}

/* The lock is held. */
static void thread_wake(struct recorder *r, size_t before)
{
	if (!r->resting && (before >= STAGE_BYTES / 2 || r->front->used < STAGE_BYTES / 2))
		return;
	r->resting = false;
	pthread_cond_signal(&r->wake);
}

/* Room for that much behind the last note if it goes on there; else a new note; 0 when full. */
static size_t stage_put(struct stage *s, const struct note *note, const uint8_t *data, size_t len)
{
	struct note *last = s->used ? stage_note(s, s->last) : NULL;

	if (last && last->kind == NOTE_DATA && last->device == note->device &&
	    last->tick == note->tick && last->pos + last->len == note->pos &&
	    last->len < NOTE_BYTES_MAX) {
		size_t room = STAGE_BYTES - s->last - sizeof(*last) - last->len;

		len = MIN(len, MIN(room, NOTE_BYTES_MAX - last->len));
		memcpy((uint8_t *)(last + 1) + last->len, data, len);
		last->len += (uint32_t)len;
		s->used = s->last + note_bytes(last->len);
		return len;
	}
	if (STAGE_BYTES - s->used <= sizeof(*note))
		return 0;
	len = MIN(len, MIN(STAGE_BYTES - s->used - sizeof(*note), NOTE_BYTES_MAX));
	s->last = s->used;
	*stage_note(s, s->last) = *note;
	stage_note(s, s->last)->len = (uint32_t)len;
	if (len > 0)
		memcpy(s->bytes + s->last + sizeof(*note), data, len);
	s->used += note_bytes(len);
	return len;
}

static struct note note_now(enum note_kind kind, unsigned device, uint64_t pos)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (struct note){
		.kind = kind, .device = device, .pos = pos, .tick = (uint32_t)t.tv_nsec,
		.time_us = t.tv_sec * G_USEC_PER_SEC + t.tv_nsec / 1000,
	};
}

void recorder_put(struct recorder *r, unsigned device, uint64_t pos, const uint8_t *data,
		  size_t len)
{
	struct note note = note_now(NOTE_DATA, device, pos);
	size_t before, n = 1;

	pthread_mutex_lock(&r->lock);
	before = r->front->used;
	while (!r->failed && len > 0 && n > 0) {
		n = stage_put(r->front, &note, data, len);
		note.pos += n;
		data += n;
		len -= n;
	}
	if (len > 0)
		r->dropped_at[device] = note.pos + len;
	thread_wake(r, before);
	pthread_mutex_unlock(&r->lock);
}

/* ---- the recorder's thread ---- */

static bool note_write(struct recorder *r, const struct note *note, GError **error)
{
	if (note->kind == NOTE_BOOT)
		return conlog_boot(r->writer, (enum conlog_cause)note->device, note->time_us,
				   (const char *const *)r->names->pdata, r->names->len, error);
	return conlog_add(r->writer, note->device, note->time_us, note->pos, note + 1, note->len,
			  error);
}

static bool stage_write(struct recorder *r, const struct stage *s, GError **error)
{
	for (size_t at = 0; at < s->used; at += note_bytes(stage_note(s, at)->len))
		if (!note_write(r, stage_note(s, at), error))
			return false;
	return conlog_flush(r->writer, error);
}

/* What was dropped behind the last note shows by the position alone.  The lock is held. */
static void stage_tell_dropped(struct recorder *r, struct stage *s)
{
	for (unsigned i = 0; i < r->names->len; i++) {
		struct note note = note_now(NOTE_DATA, i, r->dropped_at[i]);

		if (!r->dropped_at[i] || STAGE_BYTES - s->used < sizeof(note))
			continue;
		s->last = s->used;
		*stage_note(s, s->last) = note;
		s->used += sizeof(note);
		r->dropped_at[i] = 0;
	}
}

/* The lock is held, but not while it writes. */
static void stage_take(struct recorder *r)
{
	struct stage *s = r->front;
	g_autoptr(GError) error = NULL;
	bool ok;

	r->front = &r->stages[s == &r->stages[0]];
	pthread_mutex_unlock(&r->lock);
	ok = stage_write(r, s, &error);
	s->used = 0;
	pthread_mutex_lock(&r->lock);
	stage_tell_dropped(r, r->front);
	if (ok)
		return;
	r->failed = true;
	r->front->used = 0;
	g_warning("the consoles' output is no longer kept: %s", error->message);
}

static void stage_rest(struct recorder *r)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += REST_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&r->wake, &r->lock, &until);
}

static void *recorder_main(void *arg)
{
	struct recorder *r = arg;

	prctl(PR_SET_NAME, "console-log");
	pthread_mutex_lock(&r->lock);
	while (!r->failed && (!r->ending || r->front->used)) {
		r->resting = !r->front->used;
		if (r->resting) {
			pthread_cond_wait(&r->wake, &r->lock);
			continue;
		}
		stage_take(r);
		if (!r->ending && r->front->used < STAGE_BYTES / 2)
			stage_rest(r);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- the owner's thread ---- */

unsigned recorder_add(struct recorder *r, const char *name)
{
	g_assert(!r->running);
	g_ptr_array_add(r->names, g_strdup(name));
	return r->names->len - 1;
}

static void thread_start(struct recorder *r)
{
	int err = pthread_create(&r->thread, NULL, recorder_main, r);

	r->running = err == 0;
	if (!err)
		return;
	r->failed = true;
	g_warning("the consoles' output is not kept: no thread: %s", g_strerror(err));
}

void recorder_boot(struct recorder *r, enum conlog_cause cause)
{
	struct note note = note_now(NOTE_BOOT, cause, 0);
	size_t before;

	pthread_mutex_lock(&r->lock);
	before = r->front->used;
	if (!r->failed)
		stage_put(r->front, &note, NULL, 0);
	thread_wake(r, before);
	pthread_mutex_unlock(&r->lock);
	if (!r->running)
		thread_start(r);
}

uint64_t recorder_run(const struct recorder *r)
{
	return conlog_writer_run(r->writer);
}

struct recorder *recorder_new(int fd, uint64_t bytes, GError **error)
{
	struct conlog_writer *writer = conlog_writer_new(fd, bytes, error);
	pthread_condattr_t attr;
	struct recorder *r;

	if (!writer)
		return NULL;
	r = g_new0(struct recorder, 1);
	r->writer = writer;
	r->names = g_ptr_array_new_with_free_func(g_free);
	r->front = &r->stages[0];
	for (unsigned i = 0; i < ARRAY_SIZE(r->stages); i++)
		r->stages[i].bytes = g_malloc(STAGE_BYTES);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (r->running)
		pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	for (unsigned i = 0; i < ARRAY_SIZE(r->stages); i++)
		g_free(r->stages[i].bytes);
	g_ptr_array_unref(r->names);
	conlog_writer_free(r->writer);
	g_free(r);
}
