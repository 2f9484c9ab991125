#include "textflag.h"

// func For(pauses uint32)
TEXT ·For(SB), NOSPLIT, $0-4
	MOVL pauses+0(FP), AX

again:
	PAUSE
	SUBL $1, AX
	JG   again
	RET
