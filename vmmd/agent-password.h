/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A password for our agent is hashed here: the guest needs neither crypt(3) nor the password. */
#pragma once

/* The command as it is, or a guest-set-user-password with the hash instead; the caller's. */
char *agent_password(const char *command);
