#include "textflag.h"

// func For(pauses uint32)
TEXT ·For(SB), NOSPLIT, $0-4
	MOVWU pauses+0(FP), R0

again:
	ISB  $15
	SUBSW $1, R0
	BGT again
	RET
