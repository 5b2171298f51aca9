#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# Volumes filled and read by streams of each kind, by Sys::Virt: streams.pl URI FOLDER
use strict;
use warnings;
use Sys::Virt;
use Sys::Virt::Error;
use Sys::Virt::Stream;

my ($uri, $folder) = @ARGV;
my $bytes = 3 * 1048576 + 4711;
my $data = join('', map { pack('N', $_ * 2654435761 % 4294967296) } 1 .. $bytes / 4) . 'end';
$bytes = length($data);

sub check {
	my ($ok, $what) = @_;
	die "$what\n" unless $ok;
}

my $conn = Sys::Virt->new(uri => $uri);
my $pool = $conn->create_storage_pool("<pool type='dir'><name>s</name><target><path>$folder</path></target></pool>");

sub volume {
	my ($name) = @_;
	return $pool->create_volume("<volume><name>$name</name><capacity>4194304</capacity>" .
		"<target><format type='raw'/></target></volume>");
}

sub content {
	my ($vol) = @_;
	open(my $f, '<:raw', $vol->get_path()) or die $!;
	local $/;
	return <$f>;
}

sub fails {
	my ($code, $what, $fn) = @_;
	eval { $fn->() };
	check(ref($@) eq 'Sys::Virt::Error', "$what: no error, but '$@'");
	check($@->code == $code, "$what: code " . $@->code . ": " . $@->message);
}

# blocking: send and finish; what was not sent stays as it was
{
	my $vol = volume('blocking');
	my $st = $conn->new_stream();
	$vol->upload($st, 0, $bytes);
	for (my $at = 0; $at < $bytes;) {
		my $part = substr($data, $at, 100000);
		$at += $st->send($part, length($part));
	}
	$st->finish();
	check(substr(content($vol), 0, $bytes) eq $data, 'blocking upload');
	check(length(content($vol)) == 4194304, 'the volume keeps its size');

	$st = $conn->new_stream();
	$vol->download($st, 1000, 70000);
	my $got = '';
	while ((my $n = $st->recv(my $part, 65536)) > 0) {
		$got .= substr($part, 0, $n);
	}
	$st->finish();
	check($got eq substr($data, 1000, 70000), 'blocking download of a part: ' . length($got));
}

# callbacks that do all
{
	my $vol = volume('callback');
	my $st = $conn->new_stream();
	my $at = 0;
	$vol->upload($st, 0, 0);
	$st->send_all(sub {
		my (undef, undef, $want) = @_;
		my $part = substr($data, $at, $want);
		$_[1] = $part;
		$at += length($part);
		return length($part);
	});
	$st->finish();
	check(substr(content($vol), 0, $bytes) eq $data, 'callback upload');

	my $got = '';
	$st = $conn->new_stream();
	$vol->download($st, 0, $bytes);
	$st->recv_all(sub { $got .= substr($_[1], 0, $_[2]); return $_[2]; });
	$st->finish();
	check($got eq $data, 'callback download: ' . length($got));
}

# non-blocking, by an event loop: a volume is filled, then read back
Sys::Virt::Event::register_default();
my $looped = Sys::Virt->new(uri => $uri);
{
	volume('nonblocking');
	my $vol = $looped->get_storage_pool_by_name('s')->get_volume_by_name('nonblocking');
	my $st = $looped->new_stream(Sys::Virt::Stream::NONBLOCK);
	my ($at, $done, $waits) = (0, 0, 0);
	$vol->upload($st, 0, $bytes);
	$st->add_callback(Sys::Virt::Stream::EVENT_WRITABLE | Sys::Virt::Stream::EVENT_HANGUP, sub {
		my (undef, $events) = @_;
		# one piece a turn, of a size that fits no message
		my $part = substr($data, $at, 300001);
		my $n = $part eq '' || $events & Sys::Virt::Stream::EVENT_HANGUP ? 0 : $st->send($part, length($part));
		$waits++ if $n == -2;
		$at += $n if $n > 0;
		$done = 1 if $n == 0;
	});
	Sys::Virt::Event::run_default() until $done;
	$st->remove_callback();
	$st->finish();
	check($at == $bytes, "non-blocking upload: $at of $bytes, $waits times full");
	check(substr(content($vol), 0, $bytes) eq $data, 'non-blocking upload');

	# an upload that is left half way leaves the volume whole, and the connection alive
	$st = $looped->new_stream(Sys::Virt::Stream::NONBLOCK);
	$vol->upload($st, 0, 0);
	$at = $done = 0;
	$st->add_callback(Sys::Virt::Stream::EVENT_WRITABLE, sub {
		my $n = $st->send('y' x 65536, 65536);
		$at += $n if $n > 0;
		$done = 1 if $at >= 1048576;
	});
	Sys::Virt::Event::run_default() until $done;
	$st->remove_callback();
	$st->abort();
	check(length(content($vol)) == 4194304, 'an upload that was left');
	check($looped->is_alive(), 'the connection goes on');
}
{
	my $vol = $looped->get_storage_pool_by_name('s')->get_volume_by_name('blocking');
	my $st = $looped->new_stream(Sys::Virt::Stream::NONBLOCK);
	my ($got, $done) = ('', 0);
	$vol->download($st, 0, $bytes);
	$st->add_callback(Sys::Virt::Stream::EVENT_READABLE | Sys::Virt::Stream::EVENT_HANGUP, sub {
		while (1) {
			my $n = $st->recv(my $part, 65536);
			return if $n == -2;
			if ($n <= 0) {
				$done = 1;
				return;
			}
			$got .= substr($part, 0, $n);
		}
	});
	Sys::Virt::Event::run_default() until $done;
	$st->remove_callback();
	$st->finish();
	check($got eq $data, 'non-blocking download: ' . length($got));
}

# abort; a second start on one stream; more than there is; of what is gone
{
	my $vol = volume('abort');
	my $st = $conn->new_stream();
	$vol->upload($st, 0, 0);
	$st->send('x' x 1000, 1000);
	$st->abort();
	$st = $conn->new_stream();
	my $other = $pool->get_volume_by_name('blocking');
	$other->download($st, 1 << 40, 1);
	check($st->recv(my $none, 65536) == 0, 'nothing is behind the end');
	$st->finish();
	# whoever wrote is told to end, and takes a moment
	for (1 .. 600) {
		last if eval { $vol->delete(); 1 };
		select(undef, undef, undef, 0.1);
	}
	fails(Sys::Virt::Error::ERR_NO_STORAGE_VOL, 'of a volume that is gone', sub { $vol->download($conn->new_stream(), 0, 0) });
	check($conn->is_alive(), 'the connection goes on');
}

# sparse: holes are not sent, and stay holes; where one is uploaded there is nothing afterwards
{
	my $vol = volume('sparse');
	my $hole = 1048576;
	my @pieces = ([substr($data, 0, 8192), 0], ['', $hole], [substr($data, 0, 12288), 0], ['', 4194304 - $hole - 20480]);
	my $whole = join('', map { $_->[0] . "\0" x $_->[1] } @pieces);

	my $download = sub {
		my ($st, $got, $holes) = ($conn->new_stream(), '', 0);
		$vol->download($st, 0, 0, Sys::Virt::StorageVol::VOL_DOWNLOAD_SPARSE_STREAM);
		$st->sparse_recv_all(sub { $got .= substr($_[1], 0, $_[2]); return $_[2]; },
			sub { $got .= "\0" x $_[1]; $holes += $_[1]; return 0; });
		$st->finish();
		return ($got, $holes);
	};
	my ($got, $holes) = $download->();
	check($got eq "\0" x 4194304 && $holes == 4194304, "an empty volume is one hole: $holes");

	# over old data, which is gone where the holes are
	my $st = $conn->new_stream();
	$vol->upload($st, $hole - 4096, 0);
	$st->send('x' x 65536, 65536);
	$st->finish();

	my @left = map { [@$_] } @pieces;
	$st = $conn->new_stream();
	$vol->upload($st, 0, 0, Sys::Virt::StorageVol::VOL_UPLOAD_SPARSE_STREAM);
	$st->sparse_send_all(sub {
		my (undef, undef, $want) = @_;
		shift @left while @left && $left[0][0] eq '' && $left[0][1] == 0;
		$_[1] = @left ? substr($left[0][0], 0, $want, '') : '';
		return length($_[1]);
	}, sub {
		shift @left while @left && $left[0][0] eq '' && $left[0][1] == 0;
		return @left ? ($left[0][0] ne '', length($left[0][0]) || $left[0][1]) : (1, 0);
	}, sub {
		$left[0][1] -= $_[1];
		return 0;
	});
	$st->finish();
	check(content($vol) eq $whole, 'sparse upload');
	($got, $holes) = $download->();
	check($got eq $whole && $holes >= $hole, "sparse download: $holes of holes");
}
print "all well\n";
