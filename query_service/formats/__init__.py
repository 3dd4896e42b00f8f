"""Encoders of answers: a schema and batches in, bytes out, with bounded memory."""

from query_service.formats.encoders import ENCODINGS, MEDIA_TYPES, Encoder, encoder_for

__all__ = ["ENCODINGS", "MEDIA_TYPES", "Encoder", "encoder_for"]
