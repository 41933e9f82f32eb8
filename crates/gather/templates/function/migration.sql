-- What accounts keep for themselves.

create schema {{name}};

create table {{name}}.entry (
    id uuid primary key default platform.uuid_v7(),
    account_id uuid not null,
    text text not null,
    created_at timestamptz not null default now(),
    constraint entry_account_known foreign key (account_id) references identity.account (id) on delete cascade,
    constraint entry_text_size check (char_length(text) between 1 and 1000)
);
create index entry_account on {{name}}.entry (account_id, id);

select platform.function_role('{{name}}');
grant select, insert, delete on {{name}}.entry to gather_{{name}};
select platform.leaver('{{name}}');
