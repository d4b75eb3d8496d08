# POST /config and GET /config: JSON, YAML, forms, check_hash, refusals.

use strict;
use warnings;

use Digest::MD5 ();
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $node = node_start();

sub document
{
    my ($name) = @_;

    return {
        _format_version => '3.0',
        services => [ {
            name => "s-$name", url => "http://127.0.0.1:$upstream/$name",
            routes => [ { name => "r-$name", paths => ['/x'] } ]
        } ]
    };
}

sub yaml
{
    my ($name) = @_;

    return <<"END";
_format_version: "3.0"
services:
- name: s-$name
  url: http://127.0.0.1:$upstream/$name
  routes:
  - name: r-$name
    paths: [/x]
END
}

sub live { return $node->get('/x')->up_uri || '' }

# data as JSON
my $a = $node->post_config(document('json'));
is($a->status, 201, 'JSON');
is(live(), '/json', 'is live with the answer');

my ($service) = values %{ $a->json->{services} };
is($service->{name}, 's-json', 'the answer holds the entities');
is($service->{retries}, 5, 'with defaults');
is($service->{connect_timeout}, 60000, 'all of them');
my ($route) = values %{ $a->json->{routes} };
is($route->{service}{id}, $service->{id}, 'and references');

# text
is($node->post_config(yaml('yaml'))->status, 201, 'text/yaml');
is(live(), '/yaml', 'is live');
is($node->status->{configuration_hash}, Digest::MD5::md5_hex(yaml('yaml')),
   'its hash is that of the text');

$a = $node->admin('/config', method => 'POST', body => yaml('app'),
                  headers => { 'Content-Type' => 'application/yaml' });
is($a->status, 201, 'application/yaml');
is(live(), '/app', 'is live');

# in a field
$a = $node->admin('/config', method => 'POST',
    headers => { 'Content-Type' => 'application/json' },
    body => json_encode({ config => yaml('field') }));
is($a->status, 201, 'a field of a JSON body');
is(live(), '/field', 'is live');

my $text = yaml('form');
$text =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord($1))/ge;
$a = $node->admin('/config', method => 'POST', body => "config=$text",
    headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
is($a->status, 201, 'a form');
is(live(), '/form', 'is live');

my $b = 'XXbound';
$a = $node->admin('/config', method => 'POST',
    headers => { 'Content-Type' => "multipart/form-data; boundary=$b" },
    body => "--$b\r\nContent-Disposition: form-data; name=\"config\"; "
            . "filename=\"kong.yml\"\r\n\r\n" . yaml('multi')
            . "\r\n--$b--\r\n");
is($a->status, 201, 'multipart/form-data');
is(live(), '/multi', 'is live');

# check_hash
is($node->post_config(yaml('hash'))->status, 201, 'a text');
is($node->post_config(yaml('hash'), query => '?check_hash=1')->status, 304,
   'the same once more with check_hash');
is($node->post_config(yaml('hash2'), query => '?check_hash=1')->status, 201,
   'another one');
is(live(), '/hash2', 'is live');

# GET gives back what POST takes
$a = $node->admin('/config');
is($a->status, 200, 'GET /config');
my $out = ($a->json || {})->{config} || '';
like($out, qr/^_format_version: ['"]3\.0['"]/m, 'a format version');
like($out, qr/^_transform: false/m, 'no transformation');
like($out, qr/name: s-hash2/, 'the service');
is($node->post_config({ _format_version => '3.0' })->status, 201, 'emptied');
is($node->get('/x')->status, 404, 'is live');
is($node->post_config($out)->status, 201, 'what GET gave');
is(live(), '/hash2', 'is live again');

# refusals leave all as it is
my %bad = (
    'no version' => [ {}, qr/required field missing/ ],
    'another version' => [ { _format_version => '9.9' },
                           qr/expected one of: 1\.1, 2\.1, 3\.0/ ],
    'an unknown key' => [ { _format_version => '3.0', nope => [] },
                          qr/unknown field/ ],
    'a service without host' => [ { _format_version => '3.0',
        services => [ { name => 'a' } ] }, qr/required field missing/ ],
    'a bad path' => [ { _format_version => '3.0',
        routes => [ { paths => ['x'] } ] }, qr/should start with: \// ],
    'a bad regex' => [ { _format_version => '3.0',
        routes => [ { paths => ['~/('] } ] }, qr/regex/i ],
    'an unknown plugin' => [ { _format_version => '3.0',
        plugins => [ { name => 'nope' } ] }, qr/plugin 'nope' not enabled/ ],
    'a dangling reference' => [ { _format_version => '3.0',
        routes => [ { name => 'r', paths => ['/'], service => 'none' } ] },
        qr/invalid reference 'service: none' \(no such entry in 'services'\)/
        ],
    'a name twice' => [ { _format_version => '3.0', services => [
        map { { name => 'a', url => 'http://a' } } 1 .. 2 ] },
        qr/uniqueness violation/ ],
    'broken YAML' => [ "services: [\n", qr/failed parsing declarative/ ],
    'a scalar' => [ "just text\n", qr/expected an object/ ],
);

for my $name (sort keys %bad) {
    my ($document, $message) = @{ $bad{$name} };

    # data without a version is taken for text: Kong's way to refuse it
    $a = $node->post_config($document);
    is($a->status, 400, "$name: refused");
    like($a->body =~ s{\\/}{/}gr, $message, "$name: says why");
    is(live(), '/hash2', "$name: nothing has changed");
}

is($node->admin('/config', method => 'POST')->status, 400, 'no body');
is($node->admin('/config', method => 'POST', body => 'x',
                headers => { 'Content-Type' => 'image/png' })->status, 415,
   'a body of another type');

$a = $node->post_config({ _format_version => '3.0',
    services => [ { name => 'a', port => 70000, host => 'h' } ] },
    query => '?flatten_errors=1');
is($a->status, 400, 'flattened errors');
is_deeply($a->json->{flattened_errors}[0]{errors},
    [ { type => 'field', field => 'port',
        message => 'value should be between 0 and 65535' } ], 'one of them');

# a plugin that only observes and is not here yet: requests are served, the
# operator is told, whichever way the configuration was compiled
my $observed = document('observed');

for my $round (1 .. 3) {
    $observed->{services}[0]{tags} = ["round-$round"];
    $observed->{plugins} = [ { name => 'zipkin', config => {
        http_endpoint => 'http://127.0.0.1:1/' } } ];
    is($node->post_config($observed)->status, 201, "observer: round $round");
    is(live(), '/observed', "observer: served, round $round");
    like($node->status->{source}{message}, qr/^set aside: plugin 'zipkin'/,
         "observer: told, round $round");
}

delete $observed->{plugins};
is($node->post_config($observed)->status, 201, 'observer: gone');
is($node->status->{source}{message}, undef, 'observer: nothing to tell');

finish();
