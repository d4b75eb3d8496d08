# GET /openapi.json: the rules of OpenAPI 3.1 for every object that is used,
# those of JSON Schema for every schema; and what the API answers is of the
# form that it describes.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $node = node_start(env => { $pg->env });
my $r = $node->admin('/openapi.json');
my $doc = $r->json;

is($r->status, 200, 'it is there');
like($r->header('Content-Type'), qr{^application/json}, 'as JSON');

my @bad;

# with a prototype: a match in a list is a list
sub must($$$)
{
    my ($where, $good, $what) = @_;

    push @bad, "$where: $what" if !$good;
    return $good;
}

sub text { return defined $_[0] && !ref $_[0] && length $_[0] }
sub hash { return ref $_[0] eq 'HASH' }
sub list { return ref $_[0] eq 'ARRAY' }

# only these members, with x- before the rest
sub members
{
    my ($where, $v, @allowed) = @_;
    my %known = map { $_ => 1 } @allowed;

    return 0 if !must($where, hash($v), 'is no object');
    must($where, $known{$_} || /^x-/, "has a member \"$_\"") for keys %$v;

    return 1;
}

sub resolve
{
    my ($ref) = @_;
    my $v = $doc;

    return if $ref !~ s{^#/}{};

    for my $name (split(m{/}, $ref)) {
        $name =~ s{~1}{/}g;
        $name =~ s{~0}{~}g;
        return if !hash($v);
        $v = $v->{$name};
    }

    return $v;
}

my @TYPES = qw(null boolean object array number integer string);

sub schema
{
    my ($where, $s) = @_;

    return if JSON::PP::is_bool($s);
    members($where, $s, qw($ref type properties items required enum const
        minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength
        minItems maxItems uniqueItems pattern format default description
        title anyOf oneOf allOf not additionalProperties propertyNames
        readOnly writeOnly deprecated examples $comment)) or return;

    must($where, defined resolve($s->{'$ref'}), "leads to $s->{'$ref'}")
        if exists $s->{'$ref'};

    for my $type (list($s->{type}) ? @{ $s->{type} }
                                   : exists $s->{type} ? $s->{type} : ()) {
        must($where, scalar(grep { $_ eq $type } @TYPES), "type $type");
    }

    for my $name (qw(properties)) {
        next if !exists $s->{$name};
        must($where, hash($s->{$name}), "$name is no object") or next;
        schema("$where.$_", $s->{$name}{$_}) for keys %{ $s->{$name} };
    }

    for my $name (qw(items additionalProperties not propertyNames)) {
        schema("$where $name", $s->{$name}) if exists $s->{$name};
    }

    for my $name (qw(anyOf oneOf allOf)) {
        next if !exists $s->{$name};
        must($where, list($s->{$name}) && @{ $s->{$name} }, "$name is empty")
            or next;
        schema("$where $name", $_) for @{ $s->{$name} };
    }

    if (exists $s->{required}) {
        my %seen;
        must($where, list($s->{required}), 'required is no list');
        must($where, text($_) && !$seen{$_}++, 'required twice')
            for @{ $s->{required} };
    }

    must($where, list($s->{enum}) && @{ $s->{enum} }, 'enum is empty')
        if exists $s->{enum};

    for my $name (qw(minimum maximum exclusiveMinimum minLength maxLength
                     minItems maxItems)) {
        must($where, $s->{$name} =~ /^-?[\d.e+]+$/i, "$name is no number")
            if exists $s->{$name};
    }

    must($where, defined eval { qr/$s->{pattern}/ }, 'pattern is none')
        if exists $s->{pattern};
}

sub content
{
    my ($where, $v) = @_;

    must($where, hash($v) && %$v, 'has no content') or return;

    for my $type (keys %$v) {
        must($where, $type =~ m{^[\w.+-]+/[\w.+*-]+$}, "type $type");
        members("$where $type", $v->{$type}, qw(schema example examples
                encoding)) or next;
        schema("$where $type", $v->{$type}{schema});
    }
}

my %ids;

sub operation
{
    my ($where, $o) = @_;

    members($where, $o, qw(operationId tags summary description parameters
            requestBody responses security deprecated servers)) or return;
    must($where, text($o->{operationId}) && !$ids{ $o->{operationId} }++,
         'operationId is missing, or there twice');
    parameters($where, $o->{parameters}, 'query', 'header')
        if exists $o->{parameters};

    if (exists $o->{requestBody}) {
        members("$where body", $o->{requestBody},
                qw(content required description));
        content("$where body", $o->{requestBody}{content});
    }

    must($where, hash($o->{responses}) && %{ $o->{responses} },
         'has no responses') or return;

    for my $status (keys %{ $o->{responses} }) {
        my $a = $o->{responses}{$status};

        must($where, $status =~ /^([1-5]\d\d|[1-5]XX|default)$/,
             "status $status");
        members("$where $status", $a, qw(description headers content links))
            or next;
        must("$where $status", text($a->{description}), 'no description');
        content("$where $status", $a->{content}) if exists $a->{content};
        must("$where $status", !exists $a->{content}, 'a body')
            if $status eq '204';
    }
}

sub parameters
{
    my ($where, $list, @in) = @_;
    my %seen;

    must($where, list($list), 'parameters are no list') or return;

    for my $p (@$list) {
        members($where, $p, qw(name in required schema description style
                explode deprecated)) or next;
        must($where, text($p->{name}) && !$seen{"$p->{in} $p->{name}"}++,
             'a parameter without a name, or twice');
        must($where, scalar(grep { $_ eq $p->{in} } @in), "in $p->{in}");
        must($where, $p->{required}, "$p->{name} is not required")
            if $p->{in} eq 'path';
        schema("$where $p->{name}", $p->{schema});
    }
}


# --- the document

members('document', $doc, qw(openapi info servers security paths components
        tags externalDocs webhooks jsonSchemaDialect));
like($doc->{openapi}, qr/^3\.1\.\d+$/, 'its version');
must('info', text($doc->{info}{title}) && text($doc->{info}{version}),
     'no title or version');
must('servers', text($_->{url}), 'no url') for @{ $doc->{servers} || [] };

my %templates;

for my $path (sort keys %{ $doc->{paths} }) {
    my $item = $doc->{paths}{$path};
    my @names = $path =~ /\{([^{}]+)\}/g;
    (my $template = $path) =~ s/\{[^{}]+\}/{}/g;

    must($path, $path =~ m{^/}, 'is no path');
    must($path, !$templates{$template}++, 'is the same as another');
    members($path, $item, qw(parameters summary description get put post
            delete patch head options trace servers)) or next;
    parameters($path, $item->{parameters} || [], 'path');

    is(join(' ', sort map { $_->{name} } @{ $item->{parameters} || [] }),
       join(' ', sort @names), "$path: its parameters") if @names;

    operation("$_ $path", $item->{$_})
        for grep { exists $item->{$_} } qw(get put post delete patch);
}

for my $kind (keys %{ $doc->{components} }) {
    must("components $kind", /^[A-Za-z0-9._-]+$/, "name $_")
        for keys %{ $doc->{components}{$kind} };
}

schema($_, $doc->{components}{schemas}{$_})
    for sort keys %{ $doc->{components}{schemas} };

for my $name (keys %{ $doc->{components}{securitySchemes} }) {
    my $s = $doc->{components}{securitySchemes}{$name};

    must("security $name", $s->{type} =~
         /^(apiKey|http|mutualTLS|oauth2|openIdConnect)$/, 'its type');
    must("security $name", $s->{type} ne 'http' || text($s->{scheme}),
         'no scheme');
}

for my $need (@{ $doc->{security} || [] }) {
    must('security', exists $doc->{components}{securitySchemes}{$_},
         "no scheme $_") for keys %$need;
}

is(scalar @bad, 0, 'the rules are kept')
    or diag(join("\n", @bad[0 .. ($#bad > 30 ? 30 : $#bad)]));


# --- what it describes: methods as OPTIONS tells them, entities as they are

my @wrong;

for my $path (sort keys %{ $doc->{paths} }) {
    (my $real = $path) =~ s/\{[^{}]+\}/x/g;
    my $allow = $node->admin($real, method => 'OPTIONS')->header('Allow');
    my $said = join(', ', sort('HEAD', 'OPTIONS', map { uc }
        grep { /^(get|put|post|delete|patch)$/ }
        keys %{ $doc->{paths}{$path} }));

    push @wrong, "$path: $said, not " . ($allow || '') if $said ne $allow;
}

is("@wrong", '', 'the methods are those that are allowed');

# type, properties, required, items, enum, limits
sub conforms
{
    my ($where, $v, $s) = @_;

    $s = resolve($s->{'$ref'}) if exists $s->{'$ref'};
    return if !hash($s);

    if (exists $s->{type}) {
        my @types = list($s->{type}) ? @{ $s->{type} } : $s->{type};
        my $is = !defined $v ? 'null' : JSON::PP::is_bool($v) ? 'boolean'
            : hash($v) ? 'object' : list($v) ? 'array'
            : json_encode($v) =~ /^"/ ? 'string'
            : $v =~ /^-?\d+$/ ? 'integer' : 'number';

        must($where, scalar(grep { $_ eq $is
            || ($_ eq 'number' && $is eq 'integer') } @types),
            "is a $is, not " . join('|', @types));
    }

    return if !defined $v;

    must($where, scalar(grep { defined && $_ eq $v } @{ $s->{enum} }), "value $v")
        if exists $s->{enum} && !ref $v;
    must($where, $v >= $s->{minimum}, "$v is less")
        if exists $s->{minimum} && !ref $v;
    must($where, $v <= $s->{maximum}, "$v is more")
        if exists $s->{maximum} && !ref $v;

    if (hash($v) && exists $s->{properties}) {
        must($where, exists $v->{$_}, "lacks $_") for @{ $s->{required} };

        for my $name (keys %$v) {
            must($where, exists $s->{properties}{$name},
                 "$name is not described") or next;
            conforms("$where.$name", $v->{$name}, $s->{properties}{$name});
        }

    } elsif (list($v) && exists $s->{items}) {
        conforms("$where\[]", $_, $s->{items}) for @$v;
    }
}

my %made = (
    '/services' => { url => 'https://a.test/b', tags => [ 'x' ] },
    '/routes' => { hosts => [ 'a.test' ], headers => { a => [ 'b' ] } },
    '/consumers' => { username => 'u' },
    '/plugins' => { name => 'key-auth' },
    '/upstreams' => { name => 'u.test' },
    '/upstreams/u.test/targets' => { target => 't.test' },
    '/key-sets' => { name => 'k' },
    '/vaults' => { name => 'env', prefix => 'my-env' },
    '/consumers/u/key-auth' => {}, '/consumers/u/jwt' => {},
    '/consumers/u/acls' => { group => 'g' },
    '/consumers/u/basic-auth' => { username => 'u', password => 'p' },
);

@bad = ();

for my $path (sort { length $a <=> length $b || $a cmp $b } keys %made) {
    my $r = $node->admin($path, method => 'POST', headers => {
        'Content-Type' => 'application/json' },
        body => json_encode($made{$path}));
    (my $pattern = $path) =~ s{^/(\w+)/[^/]+/}{/$1/{$1}/};

    is($r->status, 201, "$path: made") or diag($r->body);

    my $post = $doc->{paths}{$pattern}{post}{responses}{201};
    my $get = $doc->{paths}{$pattern}{get}{responses}{200};

    conforms($path, $r->json, $post->{content}{'application/json'}{schema});
    conforms("all $path", $node->admin($path)->json,
             $get->{content}{'application/json'}{schema});
}

is("@bad", '', 'answers are as described');

finish();
