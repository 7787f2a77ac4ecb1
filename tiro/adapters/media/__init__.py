"""Recordings in, spans out. Strangers' bytes are read by a child process only; everything after it sees plain PCM.

preparer      the `Preparer` port: probe, glance, prepare, encode, read
decoder       this side of the child: starts one per file, reads its frames, ends it
zygote        the small pre-imported process that decoder children are forked from
decoder_child what runs in the zygote and, after the fork, in a child
jail          what a child may use: memory, CPU seconds, no files, no processes, no network
syscalls      what a child may still ask of the kernel
walls         which of these walls this system can put up
protocol      how orders and frames look on the wire between them
growth        (child) what of a recording that still comes in is there
demux         (child) bytes to frames: whitelists, claims, tracks, damage
resample      (child) frames to 16 kHz int16, one or two channels
riff          (child) WAV files that lie about their length
vad           speech probabilities (Silero, or plain energy) and the intervals they make
channels      whether a stereo file is one conversation per channel
spans         where to cut
cutting       blocks of PCM in, spans out: buffers, VAD, channels and cutter together
flac          spans to bytes and back
"""
