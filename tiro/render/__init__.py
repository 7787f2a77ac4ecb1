"""From the one transcript to every file of it, and from an ended job to the body of its webhook: pure functions.

formats.py (the table FORMATS) · text.py (txt) · subtitles.py (srt, vtt) over cues.py (what fits on a screen)
word_file.py (docx) · neutral.py (json) · words.py (tokens and turns, cleaned: all formats start there)
documents.py (the table DOCUMENTS: dialect -> result document) over sentences.py (what is one)
events.py (the table EVENTS: dialect -> body) · outcomes.py (by what word an end goes there) · times.py (how a moment is written)
"""

from tiro.render.documents import DOCUMENTS as DOCUMENTS
from tiro.render.documents import Document as Document
from tiro.render.events import EVENTS as EVENTS
from tiro.render.formats import FORMATS as FORMATS
from tiro.render.formats import Format as Format
