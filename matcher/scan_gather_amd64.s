#include "textflag.h"

// Eight windows, four bytes apart, are looked up in the bitmap at a time, with AVX2. Of a product only the upper half is made: its highest bits are
// all that the bitmap is asked for, and there is no multiplication of 64 bits. The bitmap is taken as words of 32 bits.

// SETUP: SI text, CX blocks, BX bitmap, DI masks, X5 what a hash is shifted by, Y0 the fold, Y1 the multiplier, Y4 the number of a bit in a word.
#define SETUP \
	MOVQ text+0(FP), SI          \
	MOVQ blocks+8(FP), CX        \
	MOVQ bitmap+16(FP), BX       \
	MOVQ shift+24(FP), AX        \
	SUBQ $32, AX                 \
	VMOVQ AX, X5                 \
	MOVQ masks+32(FP), DI        \
	MOVQ $0x2020202020202020, AX \
	VMOVQ AX, X0                 \
	VPBROADCASTQ X0, Y0          \
	MOVQ $0x9E3779B97F4A7C15, AX \
	VMOVQ AX, X1                 \
	VPBROADCASTQ X1, Y1          \
	MOVL $31, AX                 \
	VMOVD AX, X4                 \
	VPBROADCASTD X4, Y4

// LOOKUP looks the hashes in Y6 up and stores a bit for each. The bit of the bitmap is moved to where the sign of its word is.
#define LOOKUP \
	VPSRLD X5, Y6, Y6              \
	VPSRLD $5, Y6, Y8              \
	VPCMPEQD Y10, Y10, Y10         \
	VPGATHERDD Y10, (BX)(Y8*4), Y9 \
	VPANDN Y4, Y6, Y6              \
	VPSLLVD Y6, Y9, Y9             \
	VMOVMSKPS Y9, AX               \
	MOVB AX, (DI)                  \
	INCQ DI                        \
	ADDQ $32, SI

// What is read ahead is text of the blocks to come: the processor's own reading ahead ends with each page.
#define AHEAD PREFETCHT0 1024(SI)

// func gather8(text *byte, blocks int, bitmap *uint64, shift uint, masks *uint64)
//
// One vector has the windows at multiples of eight, another those in between. The upper half of each product is put together from three of 32 bits.
TEXT ·gather8(SB), NOSPLIT, $0-40
	SETUP
	VPSHUFD $0xB1, Y1, Y2 // the multiplier's halves, exchanged
	TESTQ   CX, CX
	JZ      done

loop:
	AHEAD
	VPOR     (SI), Y0, Y6
	VPOR     4(SI), Y0, Y7
	VPMULLD  Y2, Y6, Y8
	VPMULUDQ Y1, Y6, Y6
	VPSLLQ   $32, Y8, Y9
	VPADDD   Y8, Y6, Y6
	VPADDD   Y9, Y6, Y6
	VPMULLD  Y2, Y7, Y8
	VPMULUDQ Y1, Y7, Y7
	VPSLLQ   $32, Y8, Y9
	VPADDD   Y8, Y7, Y7
	VPADDD   Y9, Y7, Y7
	VPSRLQ   $32, Y6, Y6
	VPBLENDD $0xAA, Y7, Y6, Y6
	LOOKUP
	DECQ     CX
	JNZ      loop

done:
	VZEROUPPER
	RET

// func gather4(text *byte, blocks int, bitmap *uint64, shift uint, masks *uint64)
TEXT ·gather4(SB), NOSPLIT, $0-40
	SETUP
	VPSHUFD $0xF5, Y1, Y2 // the multiplier's upper half, twice
	TESTQ   CX, CX
	JZ      done

loop:
	AHEAD
	VPOR     (SI), Y0, Y6
	VPMULLD  Y2, Y6, Y8
	VPSRLQ   $32, Y6, Y7
	VPMULUDQ Y1, Y6, Y6
	VPMULUDQ Y1, Y7, Y7
	VPSRLQ   $32, Y6, Y6
	VPBLENDD $0xAA, Y7, Y6, Y6
	VPADDD   Y8, Y6, Y6
	LOOKUP
	DECQ     CX
	JNZ      loop

done:
	VZEROUPPER
	RET

// func highBytes(text *byte, blocks int) bool
TEXT ·highBytes(SB), NOSPLIT, $0-17
	MOVQ  text+0(FP), SI
	MOVQ  blocks+8(FP), CX
	VPXOR Y0, Y0, Y0
	TESTQ CX, CX
	JZ    done

loop:
	VMOVDQU (SI), Y1
	VPOR    32(SI), Y1, Y1
	VMOVDQU 64(SI), Y2
	VPOR    96(SI), Y2, Y2
	VPOR    Y1, Y0, Y0
	VPOR    Y2, Y0, Y0
	ADDQ    $128, SI
	DECQ    CX
	JNZ     loop

done:
	VPMOVMSKB Y0, AX
	TESTL     AX, AX
	SETNE     ret+16(FP)
	VZEROUPPER
	RET
