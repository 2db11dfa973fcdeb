#!/bin/sh
# Makes clip.flv, the test card that the demo broadcasts, from nothing but
# ffmpeg's generators. README.md beside this file says what is in the picture.
#
#   sh demo/clip/make.sh        needs ffmpeg with libx264 and drawtext, and a font
#
# Another version of ffmpeg makes other bytes, so the clip itself is committed.
set -eu
cd "$(dirname "$0")"
font=${FONT:-$(fc-match -f '%{file}' 'DejaVu Sans Mono:bold')}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# The blocks, 36 pixels each: white, black, bits 8 to 0 of the frame number, its
# parity, black, white.
blocks="drawbox=x=60:y=296:w=520:h=52:color=black:t=fill,drawbox=x=68:y=304:w=36:h=36:color=white:t=fill"
x=140
for bit in 8 7 6 5 4 3 2 1 0; do
	blocks="$blocks,drawbox=x=$x:y=304:w=36:h=36:color=white:t=fill:enable='eq(mod(floor(mod(n,500)/pow(2,$bit)),2),1)'"
	x=$((x + 36))
done
odd="mod(n,2)"
for bit in 1 2 3 4 5 6 7 8; do odd="$odd+floor(mod(n,500)/pow(2,$bit))"; done
blocks="$blocks,drawbox=x=$x:y=304:w=36:h=36:color=white:t=fill:enable='eq(mod($odd,2),1)'"
blocks="$blocks,drawbox=x=536:y=304:w=36:h=36:color=white:t=fill"

# The dial: a ring, a hand that goes round once in 20 s, a dot once a second.
r="hypot(X-80,Y-80)"
turn="mod(atan2(X-80,80-Y)/(2*PI)+1,1)"
hand="lt(abs(mod($turn-mod(N,500)/500+1.5,1)-0.5)*$r,0.7)*lt($r,62)"
ring="lt(abs($r-70),2.2)"
dot="lt(hypot(X-80-70*sin(2*PI*mod(N,25)/25),Y-80+70*cos(2*PI*mod(N,25)/25)),7)"

cat >"$tmp/filter" <<END
color=c=black:s=640x360:r=25:d=0.04,
  geq=lum='34+26*(1-hypot(X-320,Y-150)/400)':cb='138-8*Y/360':cr='120+10*X/640',
  loop=-1:1,trim=end_frame=500,setpts=N/25/TB[ground];
color=c=black:s=160x160:r=25,
  geq=lum='16+215*max(max($hand,$ring*0.35),$dot)':cb=128:cr=128,
  format=yuva420p,geq=lum='lum(X,Y)':cb=128:cr=128:a='255*max(max($hand,$ring),$dot)'[dial];
[ground][dial]overlay=x=52:y=104:shortest=1,
drawtext=fontfile=$font:text='foyer':fontsize=40:fontcolor=0xf2f0ea:x=60:y=32,
drawtext=fontfile=$font:text='the test card':fontsize=20:fontcolor=0xb9c0cc:x=196:y=48,
drawtext=fontfile=$font:text='%{eif\\:mod(floor(n/25)\\,20)\\:d\\:2}.%{eif\\:mod(n\\,25)*4\\:d\\:2}':fontsize=112:fontcolor=white:x=250:y=120,
drawtext=fontfile=$font:text='seconds of 20, in step with the clock':fontsize=15:fontcolor=0xb9c0cc:x=254:y=236,
$blocks,format=yuv420p[v]
END
ffmpeg -v error -y -filter_complex_script "$tmp/filter" -map '[v]' -frames:v 500 -threads 1 \
	-c:v libx264 -profile:v baseline -level 3.0 -preset veryslow -tune animation -bf 0 -g 25 -keyint_min 25 -sc_threshold 0 \
	-crf 24 -color_range tv -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m \
	-bitexact "$tmp/v.h264"

# A fifth that swells every four seconds, and a soft tick at each whole second.
# Everything repeats after 20 s; the second of two rounds is kept, so that the
# end of the clip runs into its beginning. The encoder starts one frame early.
ffmpeg -v error -y -f lavfi -i "aevalsrc=exprs='0.05*(1-0.6*cos(PI*t/2))*(sin(2*PI*220*t)+0.7*sin(2*PI*330*t))+0.1*exp(-40*mod(t,1))*sin(2*PI*880*t)':s=32000:d=40.1" \
	-ac 1 -c:a aac -b:a 48k -bitexact "$tmp/a.aac"
ffmpeg -v error -y -r 25 -i "$tmp/v.h264" -ss 20.032 -t 20 -i "$tmp/a.aac" -map 0:v -map 1:a -c copy -bitexact \
	-metadata encoder= -flvflags no_duration_filesize -f flv clip.flv
ls -l clip.flv
