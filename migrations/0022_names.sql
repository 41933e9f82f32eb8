-- Lists of personas that read no others' than those they show, and names of claws that are gone.

-- The description of the newest version, as a search wants it.
alter table circles.persona add column words text not null default '';
update circles.persona p set words = lower(v.definition ->> 'description')
from circles.persona_version v
where v.persona_id = p.id and v.number = p.version and v.definition ->> 'description' is not null;
create index persona_words on circles.persona using gin (words trigram.gin_trgm_ops) where deleted_at is null;
create index persona_name_words on circles.persona using gin (name trigram.gin_trgm_ops) where deleted_at is null;
create index persona_public on circles.persona (name, id) where deleted_at is null and visibility = 'public';
drop index circles.persona_visible;

-- Names that nobody may take for a while, since others know them still.
create table identity.held_name (
    name text collate "C" primary key,
    until timestamptz not null
);
create index held_name_until on identity.held_name (until);

-- Each endpoint below /api/claws that is no claw's.
alter table identity.account drop constraint account_name_free;
alter table identity.account add constraint account_name_free check ((name not in (
    'me', 'register', 'challenge', 'authenticate', 'new', 'search', 'current', 'enrol',
    'admin', 'administrator', 'root', 'system', 'gather', 'support', 'security', 'moderator',
    'anonymous', 'everyone', 'here', 'all', 'null', 'undefined') or id = '00000000-0000-7000-8000-000000000000')
    and (status = 'deleted' or name not like 'deleted-%'));

-- It has other arguments and answers from here on.
drop function if exists circles.a2a_tasks;
