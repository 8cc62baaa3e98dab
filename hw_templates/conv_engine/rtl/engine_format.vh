// The program format: where each field of a descriptor is. Made from hw_templates/conv_engine/isa5.py.
`define ISA_VERSION 5
`define DESCRIPTOR_BYTES 512
`define OPERATION_CONV 0
`define OPERATION_DEPTHWISE 1
`define OPERATION_POOL 2
`define OPERATION_SCALE 3
`define OPERATION_MAX_POOL 4
`define AT_SIZE                    0    // DESCRIPTOR_BYTES; checked first
`define AT_VERSION                 1    // VERSION; checked first
`define AT_OPERATION               2    // what the layer computes
`define AT_LOOP_ORDER              3    // how the loops over tiles are nested
`define AT_EARLY                   4    // 1: weights and parameters, 2: the ifmap too, may be fetched while the layer before drains
`define AT_IN_HEIGHT               5    // rows of the input map
`define AT_IN_WIDTH                6    // columns of the input map
`define AT_IN_CHANNELS             7    // channels of the input map
`define AT_OUT_HEIGHT              8    // rows of the output map
`define AT_OUT_WIDTH               9    // columns of the output map
`define AT_OUT_CHANNELS            10   // channels of the output map
`define AT_KERNEL_HEIGHT           11   // rows of the kernel
`define AT_KERNEL_WIDTH            12   // columns of the kernel
`define AT_STRIDE_HEIGHT           13   // input rows from output row to output row
`define AT_STRIDE_WIDTH            14   // input columns from output column to output column
`define AT_DILATION_HEIGHT         15   // input rows from tap row to tap row
`define AT_DILATION_WIDTH          16   // input columns from tap column to tap column
`define AT_PAD_TOP                 17   // rows of padding above the map
`define AT_PAD_LEFT                18   // columns of padding left of the map
`define AT_PAD_BOTTOM              19   // rows of padding below the map
`define AT_PAD_RIGHT               20   // columns of padding right of the map
`define AT_PAD_VALUE               21   // what lies outside the map, an int8
`define AT_REPEAT                  22   // 1: each row and column of the map in memory is read twice
`define AT_FOUR_BIT_WEIGHTS        23   // 1: weights have 4 bits and lie two to a byte
`define AT_TILE_OUT_CHANNELS       24   // output channels of a full tile
`define AT_TILE_IN_CHANNELS        25   // input channels of a full tile
`define AT_TILE_HEIGHT             26   // output rows of a full tile
`define AT_TILE_WIDTH              27   // output columns of a full tile
`define AT_TILES_OUT               28   // tiles of output channels
`define AT_TILES_IN                29   // tiles of input channels; 1 in channel-wise layers
`define AT_TILES_ROWS              30   // tiles of output rows
`define AT_TILES_COLS              31   // tiles of output columns
`define AT_LAST_OUT_WORDS          32   // channel words of the result in the last tile of output channels
`define AT_LAST_IN_WORDS           33   // channel words of the input in the last tile of input channels
`define AT_LAST_ROWS               34   // output rows of the last tile
`define AT_LAST_COLS               35   // output columns of the last tile
`define AT_FULL_OUT_WORDS          36   // channel words of the result in a full tile of output channels
`define AT_FULL_IN_WORDS           37   // channel words of the input in a full tile of input channels
`define AT_ROW_GROUPS_FULL         38   // groups of output channels computed at a time in a full tile
`define AT_ROW_GROUPS_LAST         39   // and in the last
`define AT_COL_GROUPS_FULL         40   // groups of PE_COLS input channels in a full tile; 1 in channel-wise layers
`define AT_COL_GROUPS_LAST         41   // and in the last
`define AT_PIXEL_GROUPS_FULL       42   // groups of PE_PIXELS columns in a full tile
`define AT_PIXEL_GROUPS_LAST       43   // and in the last
`define AT_IFMAP_WORD              44   // where the input map starts
`define AT_WEIGHT_WORD             45   // where the weights start, in the order of fetching; for a scale, the gate's map
`define AT_OFMAP_WORD              46   // where the output map starts
`define AT_RESIDUAL_WORD           47   // where the map that is added starts
`define AT_PARAMETER_WORD          48   // where the parameters start
`define AT_TABLE_WORD              49   // where the activation table starts
`define AT_COUNTER_WORD            50   // where the counters are written
`define AT_IN_WORDS                51   // words from pixel to pixel of the input map
`define AT_OUT_WORDS               52   // words from pixel to pixel of the output map
`define AT_RES_WORDS               53   // words from pixel to pixel of the map that is added
`define AT_OUT_RUN_WORDS           54   // channel words of a pixel that the layer itself makes
`define AT_IN_COL_STEP             55   // words to the next column of the input map in memory
`define AT_IN_ROW_STEP             56   // words to the next row of the input map in memory
`define AT_IN_TILE_COL_STEP        57   // words to the next tile along columns
`define AT_IN_TILE_ROW_STEP        58   // words to the next tile along rows
`define AT_IN_COL_BEGIN            59   // words from the row's start to the first tile's left edge, negative in padding
`define AT_IN_ROW_BEGIN            60   // words from the map's start to the first tile's upper edge, negative in padding
`define AT_IN_COL_END              61   // words of a row: where clipping ends
`define AT_IN_FULL_WORDS           62   // words of a row of a full tile, unclipped
`define AT_IN_LAST_WORDS           63   // and of the last
`define AT_IN_TILE_ROWS            64   // input rows from tile to tile
`define AT_IN_TILE_COLS            65   // input columns from tile to tile
`define AT_IN_FULL_ROWS            66   // input rows of a full tile, unclipped
`define AT_IN_FULL_COLS            67   // input columns of a full tile, unclipped
`define AT_IN_LAST_ROWS            68   // input rows of the last tile
`define AT_IN_LAST_COLS            69   // input columns of the last tile
`define AT_OUT_COL_STEP            70   // words to the next column of the output map
`define AT_OUT_ROW_STEP            71   // words to the next row of the output map
`define AT_OUT_TILE_COL_STEP       72   // words to the next tile along columns
`define AT_OUT_TILE_ROW_STEP       73   // words to the next tile along rows
`define AT_OUT_COL_END             74   // words of a row
`define AT_RES_COL_STEP            75   // the same of the map that is added
`define AT_RES_ROW_STEP            76   // words to its next row
`define AT_RES_TILE_COL_STEP       77   // words to its next tile along columns
`define AT_RES_TILE_ROW_STEP       78   // words to its next tile along rows
`define AT_RES_COL_END             79   // words of its row
`define AT_WHOLE_IN                80   // 1: a run is a whole row of the tile; 0: a pixel
`define AT_WHOLE_OUT               81   // the same of the output map
`define AT_WHOLE_RES               82   // the same of the map that is added
`define AT_D_SLOTS                 83   // words of an ifmap bank that one phase of a row takes
`define AT_D_LINE                  84   // words of an ifmap bank that a row takes
`define AT_D_ROW                   85   // words of an ifmap bank to the next tap row
`define AT_D_GROUP                 86   // words of an ifmap bank to the next line of channels
`define AT_D_OUT_ROW               87   // words of an ifmap bank to the next output row
`define AT_X_PIXEL                 88   // input columns from pixel group to pixel group
`define AT_IN_PLACE                89   // where the first column of the first tile lies in its row
`define AT_IN_PLACE_LANE           90   // its pixel lane
`define AT_IN_PLACE_PHASE          91   // its phase
`define AT_IN_PLACE_ROW            92   // where the first row of the first tile lies
`define AT_TAP_COL_0               93   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_1               94   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_2               95   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_3               96   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_4               97   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_5               98   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_6               99   // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_7               100  // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_8               101  // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_9               102  // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_TAP_COL_10              103  // rotation in bits 0-3, step to the next tap column in bits 8-31
`define AT_WEIGHT_BEATS_FULL_FULL  104  // beats of the weight port of a tile, full in output and in input channels
`define AT_WEIGHT_BEATS_FULL_LAST  105  // full in output channels, last of input channels
`define AT_WEIGHT_BEATS_LAST_FULL  106  // last of output channels, full in input channels
`define AT_WEIGHT_BEATS_LAST_LAST  107  // last of both
`define AT_PARAMETER_BEATS         108  // beats of the weight port of all parameters
`define AT_LOAD_TABLE              109  // 0: the activation table in place stays
`define AT_RESIDUAL                110  // whether a map is added, before or after the activation table
`define AT_RESIDUAL_MULTIPLIER     111  // its scale, of 2^16
`define AT_EDGES                   112  // border classes of an average pool: top, bottom, left, right, 4 bits each; shift of the row class
`define AT_GROUP_LAYERS            113  // layers from this one on that run together, band by band; 0 where it runs alone
`define AT_BAND_FIRST              114  // rows that the layer makes in the first band
`define AT_BAND_STEP               115  // rows that it makes in each later one
`define AT_BAND_END                116  // rows that it makes in all
`define AT_IFMAP_RING              117  // rows of the input map that the map memory holds; 0 where the map lies in memory
`define AT_OFMAP_RING              118  // rows of the output map that the map memory holds; 0 where the map goes to memory
`define AT_MAP_HALF                119  // half of the map memory that is read; what stays on chip goes to the other
`define AT_MAP_IN_COL              120  // lines of the map memory to the next pixel of the input map
`define AT_MAP_IN_ROW              121  // and to its next row
`define AT_MAP_IN_TILE_ROW         122  // and to its next tile along rows
`define AT_MAP_IN_RING             123  // lines of its ring, where the address returns
`define AT_MAP_OUT_COL             124  // lines to the next pixel of the output map
`define AT_MAP_OUT_ROW             125  // and to its next row
`define AT_MAP_OUT_RING            126  // lines of its ring
