/* pad.c: room that is never used. Linked first, it moves all code and data that follow, so that
   one program can be measured in several places in memory. */
#define TEXT(x) #x
#define VALUE(x) TEXT(x)

__asm__(".text\n.skip " VALUE(PAD_TEXT) "\n"
        ".data\n.skip " VALUE(PAD_DATA) "\n"
        ".text\n");
