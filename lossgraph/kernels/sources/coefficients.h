/* Minimax polynomials, lowest power first; written by tools/kernel_coefficients. */
/* (e^r - 1 - r) / r^2; error 0.054 of 2^-24 */
#define LG_EXP_32 \
  0x1p-1f, 0x1.55549p-3f, 0x1.5554d2p-5f, \
  0x1.123ab6p-7f, 0x1.6d660ap-10f
/* (e^r - 1 - r) / r^2; error 0.031 of 2^-53 */
#define LG_EXP_64 \
  0x1.000000000000bp-1, 0x1.5555555555561p-3, 0x1.555555555021cp-5, \
  0x1.111111110d633p-7, 0x1.6c16c18553b13p-10, 0x1.a01a01bae7b97p-13, \
  0x1.a019974efc0b4p-16, 0x1.71dddfbaa12fap-19, 0x1.28afb4bf94d0bp-22, \
  0x1.af85a8d4fcc15p-26
/* the same, to digits of e^r - 1; error 0.0071 of 2^-24 */
#define LG_EXPM1_32 \
  0x1p-1f, 0x1.555556p-3f, 0x1.5554f6p-5f, \
  0x1.111002p-7f, 0x1.6d3c88p-10f, 0x1.a24778p-13f
/* the same, to digits of e^r - 1; error 0.0024 of 2^-53 */
#define LG_EXPM1_64 \
  0x1p-1, 0x1.5555555555559p-3, 0x1.5555555555556p-5, \
  0x1.111111110f64cp-7, 0x1.6c16c16c15e5fp-10, 0x1.a01a01b00855ep-13, \
  0x1.a01a01a8fe7fap-16, 0x1.71ddf8022c75cp-19, 0x1.27e4d58839525p-22, \
  0x1.af5f433edba97p-26, 0x1.1f7d95d79005bp-29
/* (log(1+f) - f + f^2/2) / f^3; error 0.012 of 2^-24 */
#define LG_LOG_32 \
  0x1.555546p-2f, -0x1.ffffeep-3f, 0x1.99a542p-3f, \
  -0x1.5562dep-3f, 0x1.233304p-3f, -0x1.fb4444p-4f, \
  0x1.e64e06p-4f, -0x1.e2e1f2p-4f, 0x1.1b3eb4p-4f
/* (log((1+s)/(1-s)) - 2s) / s^3, of s^2; error 0.023 of 2^-53 */
#define LG_LOG_64 \
  0x1.5555555555593p-1, 0x1.999999997fab7p-2, 0x1.2492494217ed2p-2, \
  0x1.c71c51ebac90dp-3, 0x1.746644c561b1fp-3, 0x1.39a126edcb121p-3, \
  0x1.2f0b2158b61bep-3
/* (log(1+t) - t) / t^2; error 0.073 of 2^-24 */
#define LG_LOG1P_32 \
  -0x1.ffffd8p-2f, 0x1.554e96p-2f, -0x1.ff3552p-3f, \
  0x1.93aa02p-3f, -0x1.3b5fa6p-3f, 0x1.b8901cp-4f, \
  -0x1.de901p-5f, 0x1.51ac42p-6f, -0x1.bed644p-9f
/* (log((1+s)/(1-s)) - 2s) / s^3, of s^2; error 0.024 of 2^-53 */
#define LG_LOG1P_64 \
  0x1.5555555555535p-1, 0x1.99999999a0787p-2, 0x1.2492492089f07p-2, \
  0x1.c71c741dc36fap-3, 0x1.745cb3d08e581p-3, 0x1.3b1ddf5555c78p-3, \
  0x1.10679439a18fap-3, 0x1.efdb23216afdep-4, 0x1.55a58527d9aabp-4, \
  0x1.5c82baf28f9ap-3
/* (e^r - 1 - r) / r^2, for float32; error 4.3e+5 of 2^-53 */
#define LG_EXP_ROUGH_64 \
  0x1.00000042ebd3ap-1, 0x1.55555596506ep-3, 0x1.555480586ff82p-5, \
  0x1.11107f3ae5aa2p-7, 0x1.6d96827b6960ep-10, 0x1.a1b505f0e1305p-13
/* (log(1+f) - f + f^2/2) / f^3, for float32; error 4.6e+3 of 2^-53 */
#define LG_LOG_ROUGH_64 \
  0x1.55555552952cfp-2, -0x1.0000001c2f92ep-2, 0x1.99999e42ebcd7p-3, \
  -0x1.55553d233690cp-3, 0x1.2490feb03f0e2p-3, -0x1.00032a7d50292p-3, \
  0x1.c770a05f5ad85p-4, -0x1.995f53f137102p-4, 0x1.6effa1efe31c9p-4, \
  -0x1.52780a946c315p-4, 0x1.63e2fa59c19bp-4, -0x1.61a8e497b142ap-4, \
  0x1.7242093014348p-5
/* exp(x^2) erfc(x) (1+2x), of 1/(x+3) - 3/16, for float32; error 8.0e+6 of 2^-53 */
#define LG_ERFC_ROUGH_64 \
  0x1.44d8cb79aba17p+0, 0x1.664c8980140abp-1, -0x1.f5468064af6e7p+1, \
  -0x1.5b284999e083bp+5, -0x1.b29d586376eb1p+7, -0x1.51411e0bf0b2p+9, \
  -0x1.23fdb706d504p+10, -0x1.d29c85eebfe66p+5, 0x1.14d92ab679509p+12, \
  0x1.3240df575888fp+12, -0x1.a81b39668395bp+13, -0x1.c9c48038a02cap+13
/* (tanh(x) - x) / x^3, of x^2; error 0.0028 of 2^-24 */
#define LG_TANH_32 \
  -0x1.555554p-2f, 0x1.11107cp-3f, -0x1.b9f212p-5f, \
  0x1.63abdp-6f, -0x1.0c7fd2p-7f, 0x1.1aa08ep-9f
/* (tanh(x) - x) / x^3, of x^2; error 0.09 of 2^-53 */
#define LG_TANH_64 \
  -0x1.55555555555p-2, 0x1.111111110ad53p-3, -0x1.ba1ba1b509597p-5, \
  0x1.664f477aee6f2p-6, -0x1.226e162324f03p-7, 0x1.d6cf25bd0b97ep-9, \
  -0x1.7d688056e19d9p-10, 0x1.3364eddad15d3p-11, -0x1.df4a5e501ededp-13, \
  0x1.43740b139fc7ap-14, -0x1.0d676632ec509p-16
/* erf(x)/x - 1, of x^2; error 0.017 of 2^-24 */
#define LG_ERF_32 \
  0x1.06eba8p-3f, -0x1.81274p-2f, 0x1.ce2d6ap-4f, \
  -0x1.b80292p-6f, 0x1.5467ep-8f, -0x1.a815dp-11f, \
  0x1.5f9e02p-14f, -0x1.7b807ep-20f
/* erf(x)/x - 1, of x^2; error 0.11 of 2^-53 */
#define LG_ERF_64 \
  0x1.06eba8214db69p-3, -0x1.812746b037a3dp-2, 0x1.ce2f21a048255p-4, \
  -0x1.b82ce314ad86bp-6, 0x1.565bcd8037122p-8, -0x1.c02dd049ce2ddp-11, \
  0x1.f9a7b583a09e1p-14, -0x1.f551efd6dc3b4p-17, 0x1.c3a026012c5cdp-20, \
  -0x1.e51fdb872c05p-23, 0x1.81f33d26f1d92p-24, -0x1.1036e92fe1219p-24, \
  0x1.21eed4950e1b3p-25, -0x1.710f5fbf948b8p-27, 0x1.a443a3e7b30f2p-30
/* -log(erfc(x)) / x; error 0.00039 of 2^-24 */
#define LG_ERF_FAR_32 \
  0x1.20e4a2p+0f, 0x1.459f2ap-1f, 0x1.abab52p-4f, \
  -0x1.60d528p-6f, 0x1.06519p-9f, 0x1.bba27ep-12f, \
  -0x1.92ef7ep-13f, 0x1.fb7a18p-16f, -0x1.f45d18p-20f
/* (p(t) - p(0)) / t, with p(t) = exp(x^2) erfc(x) (1+2x), t = 1/(x+3) - 3/16; error 0.39 of 2^-53 */
#define LG_ERFC_64 \
  0x1.664c8c403fa57p-1, -0x1.f546832b4f252p+1, -0x1.5b2886dbd39bcp+5, \
  -0x1.b29d2b024cfc6p+7, -0x1.513b197254a52p+9, -0x1.2406eb8f00ab4p+10, \
  -0x1.08d847f417a93p+6, 0x1.1683691c438ecp+12, 0x1.58278924a437cp+12, \
  -0x1.edc57f1a6abe2p+13, -0x1.0c9e6466b289fp+15, 0x1.1ebec459d58fap+16, \
  0x1.5f6a6de913a1cp+17, -0x1.bcf61b47969c1p+18, -0x1.66c456c903d2p+19, \
  0x1.7c12a8aba9fa3p+21, -0x1.18f0e8b8ead97p+22, -0x1.ddd99a1317df6p+24, \
  0x1.141e1777fed04p+28, 0x1.2751e7485c585p+30, -0x1.cd72b52b0b928p+31, \
  -0x1.cb37673d4482ap+34, -0x1.7761dfb09e9a5p+35
/* (log((1+s)/(1-s)) - 2s - 2s^3/3) / s^5, of s^2; error 0.2 of 2^-53 */
#define LG_ATANH_64 \
  0x1.999999999999ap-2, 0x1.2492492491fb9p-2, 0x1.c71c71c84ec2dp-3, \
  0x1.745d166564807p-3, 0x1.3b13fd155a368p-3, 0x1.1104f79f625cdp-3, \
  0x1.e3444d4396334p-4, 0x1.bbdd79143ea57p-4
/* (sinh(x) - x) / x^3, of x^2; error 0.001 of 2^-53 */
#define LG_SINH_64 \
  0x1.5555555555555p-3, 0x1.1111111111199p-7, 0x1.a01a01a007b18p-13, \
  0x1.71de3a6824d67p-19, 0x1.ae6442059b411p-26, 0x1.6130b1726501bp-33, \
  0x1.a6d0607cda5aap-41, 0x1.c412ff2169c0ep-48
/* (sin(x) - x) / x^3, of x^2; error 0.00082 of 2^-53 */
#define LG_SIN_64 \
  -0x1.5555555555555p-3, 0x1.1111111111068p-7, -0x1.a01a019ffe0bdp-13, \
  0x1.71de3a3338029p-19, -0x1.ae642bb71bf74p-26, 0x1.61095847c16d8p-33, \
  -0x1.9fcb91fad190cp-41
/* (cos(x) - 1 + x^2/2) / x^4, of x^2; error 1.4e-5 of 2^-53 */
#define LG_COS_64 \
  0x1.5555555555555p-5, -0x1.6c16c16c16b2cp-10, 0x1.a01a019ffbd11p-16, \
  -0x1.27e4fb58ea723p-22, 0x1.1eed6df770146p-29, -0x1.937276d82acb6p-37, \
  0x1.9cd01d039564fp-45
/* sin(pi x) / x, of x^2; error 0.35 of 2^-53 */
#define LG_SIN_PI_64 \
  0x1.921fb54442d18p+1, -0x1.4abbce625bdfbp+2, 0x1.466bc677562c3p+1, \
  -0x1.32d2cce34d877p-1, 0x1.507832b2b6d55p-4, -0x1.e305fea57ab01p-8, \
  0x1.e865be445988bp-12, -0x1.4c95e40e434d7p-16, -0x1.ea2e3ce45b9c9p-19, \
  0x1.06f44f4afcd4cp-18
/* (atan(x) - x) / x^3, of x^2; error 0.011 of 2^-53 */
#define LG_ATAN_64 \
  -0x1.555555555553dp-2, 0x1.999999999589fp-3, -0x1.24924922af442p-3, \
  0x1.c71c70e6eb475p-4, -0x1.745cf8f6fd136p-4, 0x1.3b111b07128ep-4, \
  -0x1.10ebce77b3d5fp-4, 0x1.df10901822434p-5, -0x1.9cd871c325557p-5, \
  0x1.37e407a3c3793p-5, -0x1.25897e12bc22fp-6
/* erfinv(x)/x, of -log(1-x^2) - 3.125; error 1.7 of 2^-53 */
#define LG_ERFINV_64 \
  0x1.a755e7c99ae86p+0, 0x1.ebd80d9b13e25p-3, -0x1.8b6c33114f07ap-8, \
  -0x1.845769484effp-11, 0x1.879c2a20ed057p-13, -0x1.d1d1f7b8b905fp-17, \
  -0x1.6e8a54013747ap-20, 0x1.c6b4f5d5deec9p-22, -0x1.f36ce13e45f08p-26, \
  -0x1.1a9e395841adbp-28, 0x1.20f4cbecfdb26p-30, -0x1.dc583214f742bp-35, \
  -0x1.c89159b53e9eep-37, 0x1.72a2218bc7a11p-39, -0x1.6e028891fa0ep-44, \
  -0x1.6d345073a5b13p-45, 0x1.dc1759bd6d8a7p-48, 0x1.838b278c0e7c4p-56, \
  -0x1.2e092504c5d6fp-53, 0x1.9b8f02e2efdd9p-57, 0x1.5ddab311cc763p-60, \
  -0x1.8db780c5ec1b1p-63, -0x1.0bc5fd62a6cd6p-69
/* the same, of the root of that log, - 3.25; error 2.8 of 2^-53 */
#define LG_ERFINV_TAIL_64 \
  0x1.8abcc380d5a48p+1, 0x1.0158a6d641d3bp+0, 0x1.5ffcfe5b6e5cp-8, \
  -0x1.ebadabb889af7p-9, 0x1.468eeca7d77b4p-9, -0x1.ba9241379a28dp-10, \
  0x1.f3cc54f47149ap-11, -0x1.7448a76d5a25cp-12, 0x1.932da84e0f586p-16, \
  0x1.1e68299085fedp-14, -0x1.8cf146266e269p-15, 0x1.a29e6a6588f87p-17, \
  0x1.88cb1e1dff51dp-19, -0x1.0d70976c34bp-18, 0x1.91e37b00b0fc1p-20, \
  0x1.4e80e4ab91b9cp-26, -0x1.219d64b0283a8p-22, 0x1.8365152a2413cp-24
/* the same, of the root - 5; error 3.5 of 2^-53 */
#define LG_ERFINV_FAR_64 \
  0x1.3664ddd1ad7fbp+2, 0x1.02a30d1fba0ffp+0, -0x1.22ea5df0fbac3p-13, \
  -0x1.c2f36a9bc5025p-13, 0x1.3ebf4ec7c5df7p-14, -0x1.4a3492d1ce2b7p-16, \
  0x1.2fbd1ef7a7408p-18, -0x1.0a8f36e1b0d5bp-20, 0x1.ebcdf552205f1p-23, \
  -0x1.2269ddc4c7587p-24, 0x1.f467b0b05a9e2p-26, -0x1.041a2796894ffp-26, \
  0x1.0687f502ca082p-27, -0x1.ee00a0161a8c5p-29, 0x1.9a0edb3eac648p-30, \
  -0x1.94b8267a4597ep-32, -0x1.94aefef75b655p-36, 0x1.d695ec9ac8d5ep-36
/* lgamma(1+x) / (x (x-1)); error 0.24 of 2^-53 */
#define LG_GAMMA_64 \
  0x1.2788cfc6fb619p-1, -0x1.f6465978d453ap-3, 0x1.3e5452046f5e9p-3, \
  -0x1.d7a3e6a042e77p-4, 0x1.79cf9b43e4893p-4, -0x1.3cb1e6e11fb9ep-4, \
  0x1.11546393965a4p-4, -0x1.e172de414257fp-5, 0x1.ae29a76820eadp-5, \
  -0x1.83ab3ac70422ap-5, 0x1.5cf5bcbb2c4fbp-5, -0x1.33cf53de4750fp-5, \
  0x1.01c1af125179ap-5, -0x1.88b377b033d5fp-6, 0x1.032d1b2dc5702p-6, \
  -0x1.1956898a431c3p-7, 0x1.d9ca8cee5f808p-9, -0x1.1ec429e611ceap-10, \
  0x1.b87c3f9264ee4p-13, -0x1.40b924ccfaa47p-16
/* (lgamma(x) - (x-1/2)(log(x)-1) - (log(2 pi)-1)/2) x, of 1/x^2; error 0.042 of 2^-53 */
#define LG_STIRLING_64 \
  0x1.5555555555555p-4, -0x1.6c16c16c10398p-9, 0x1.a01a01752c398p-11, \
  -0x1.381364be1b368p-11, 0x1.b947e11a12aa2p-11, -0x1.f599ed6196d95p-10, \
  0x1.9a83333eb16eap-8, -0x1.a800865c91369p-6, 0x1.ca57899db3133p-4, \
  -0x1.a4556097885f9p-2, 0x1.06f35ed26fba4p+0, -0x1.3e976d351dd57p+0
/* (log(x) - 1/(2x) - digamma(x)) x^2, of 1/x^2; error 0.041 of 2^-53 */
#define LG_DIGAMMA_64 \
  0x1.5555555555555p-4, -0x1.111111110cf78p-7, 0x1.041040e2d4615p-8, \
  -0x1.1110ddfe54cbcp-8, 0x1.f0563dd9dc291p-8, -0x1.55e35401b1d4bp-6, \
  0x1.24bf93f30806dp-4, -0x1.25459c1c2a6d2p-3
/* digamma(x) / (x - its zero), of x - 3/2; error 0.79 of 2^-53 */
#define LG_DIGAMMA_NEAR_64 \
  0x1.e6f0cbb873617p-1, -0x1.b1cb63005ee75p-2, 0x1.eca189b8e6b6dp-3, \
  -0x1.2feeeb98ae69bp-3, 0x1.8512e59079d5dp-4, -0x1.fb44201fe44e2p-5, \
  0x1.4de9a9fb212cfp-5, -0x1.b9f8b471f7492p-6, 0x1.25647803fc8cbp-6, \
  -0x1.8634ce32aecc4p-7, 0x1.03bfc94aa8486p-7, -0x1.5a1646300e21fp-8, \
  0x1.cd47261b795ebp-9, -0x1.3269a0910fd13p-9, 0x1.97abbb7696876p-10, \
  -0x1.1a57b8871dba6p-10, 0x1.7de4ba01bd725p-11, -0x1.753a6aa3736d7p-12, \
  0x1.c875392569697p-13, -0x1.8bcd36f2b8a03p-12, 0x1.1859c957ce4fp-12
/* (trigamma(x) - 1/x - 1/(2x^2)) x^3, of 1/x^2; error 0.083 of 2^-53 */
#define LG_TRIGAMMA_64 \
  0x1.5555555555555p-3, -0x1.111111110efep-5, 0x1.8618617461cc5p-6, \
  -0x1.111101ac66d35p-5, 0x1.3646b3a2d1134p-4, -0x1.0252c550caf5p-2, \
  0x1.1a950fcce37e8p+0, -0x1.1ea7d91d35743p+2
#define LG_ERFC_FIRST 0x1.44d8cb79f77e5p+0
