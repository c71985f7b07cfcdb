# Verifies messages with Mail::DKIM, one after the other; usage and protocol as verify_dkimpy.py.
use strict;
use warnings;
use JSON::PP;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;

# Answers TXT questions from the records of the test, and nothing else.
package Records {
    use Net::DNS;

    sub new {
        my ($class, $path) = @_;
        my %text;
        open my $lines, '<', $path or die "$path: $!";
        while (<$lines>) {
            chomp;
            my ($name, $value) = split /\t/, $_, 2;
            $text{lc $name} = $value;
        }
        return bless { text => \%text }, $class;
    }

    sub send {
        my ($self, $name, $type) = @_;
        my $packet = Net::DNS::Packet->new($name, $type);
        my $text = $self->{text}{lc $name};
        if (defined $text && $type eq 'TXT') {
            my @strings = unpack '(a255)*', $text;
            $packet->push(answer => Net::DNS::RR->new(owner => $name, type => 'TXT', ttl => 60, txtdata => \@strings));
        }
        $packet->header->rcode($packet->answer ? 'NOERROR' : 'NXDOMAIN');
        return $packet;
    }

    sub errorstring { 'NOERROR' }
}

package main;

sub verify {
    my ($message) = @_;
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT($message);
    $verifier->CLOSE;
    return [
        map {
            my $result = $_->result;
            {
                domain   => $_->domain   // '',
                selector => $_->selector // '',
                result   => $result,
                reason   => $result eq 'pass' ? '' : $_->result_detail,
            }
        } $verifier->signatures
    ];
}

$SIG{PIPE} = 'DEFAULT';
$| = 1;
binmode STDIN;
Mail::DKIM::DNS::resolver(Records->new($ARGV[0]));
my $json = JSON::PP->new->canonical->ascii;
while (defined(my $length = <STDIN>)) {
    chomp $length;
    my $message = '';
    while (length($message) < $length) {
        read(STDIN, $message, $length - length($message), length($message)) or die 'the request was cut short';
    }
    my $verdicts = eval { verify($message) }
      // [{ domain => '', selector => '', result => 'error', reason => "$@" }];
    print $json->encode($verdicts), "\n";
}
