/* engine/core/outlook_notes.h -- what an author should change; of outlook.c only */
#ifndef SERIN_ENGINE_CORE_OUTLOOK_NOTES_H
#define SERIN_ENGINE_CORE_OUTLOOK_NOTES_H

#include "engine/core/outlook.h"

/** Append the notes that the figures of *o call for. */
void outlook_notes(const struct plan *p, const struct outlook_query *q,
                   struct outlook *o);

#endif
